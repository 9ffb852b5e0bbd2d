"""When a sweep has been judged; that it is, tests of whole sweeps show."""

from functools import partial
from pathlib import Path

import pytest

from runner.config.schema import Config, ExpectConfig
from runner.results.expectations import INCONCLUSIVE, MET, NOT_MET, read_findings
from runner.runs import files
from runner.runs.load import load
from runner.sweep.conclusion import conclude, is_concluded
from tests.runner.results.report import made_up

COMPARISON = ("csv", "tex", "json")


def config(repeats: int, claims: int = 0) -> Config:
    made = Config()
    made.sweep.repeats = repeats
    made.expect = [ExpectConfig(what="w", at_most=1.0)] * claims
    return made


@pytest.mark.parametrize(("repeats", "runs"), [(2, 4), (3, 1)])
def test_what_is_not_compared_leaves_nothing_to_look_for(
    repeats: int, runs: int, tmp_path: Path
) -> None:
    assert is_concluded(config(repeats), runs, tmp_path)


def test_a_comparison_is_there_with_its_report(tmp_path: Path) -> None:
    assert not is_concluded(config(3), 6, tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").touch()
    assert is_concluded(config(3), 6, tmp_path)


def test_claims_are_judged_whatever_is_compared(tmp_path: Path) -> None:
    assert not is_concluded(config(1, claims=1), 1, tmp_path)
    (tmp_path / "expectations.json").touch()
    assert is_concluded(config(1, claims=1), 1, tmp_path)


def test_a_sweep_comes_to_findings_a_comparison_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, repeats=3)
    asked = config(3)
    asked.tracking.backend = "none"
    ratio = partial(ExpectConfig, metric="p50_ms/highest", of="arm=xsched", to="arm=native")
    asked.expect = [
        ratio(what="xsched is faster", at_most=0.9),
        ratio(what="and is not", at_least=1.1),
        ExpectConfig(what="nobody ran", metric="p50_ms/highest", of="arm=solo", at_most=1.0),
        ExpectConfig(what="it is proven", metric="proof", of="arm=xsched", equals="proven"),
    ]
    conclude(asked, [run.summary for run in load(folder)], folder)
    assert is_concluded(asked, 6, folder)
    found = read_findings(folder)
    assert [(each.what, each.verdict) for each in found] == [
        ("xsched is faster", MET),
        ("and is not", NOT_MET),
        ("nobody ran", INCONCLUSIVE),
        ("it is proven", MET),
    ]
    assert found[0].interval is not None
    shown = " ".join(capsys.readouterr().out.split())
    assert found[0].shown in shown
    assert "there is no such run" in shown
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert names == {files.SWEEP, files.EXPECTATIONS, *(f"comparison.{e}" for e in COMPARISON)}
    page = (folder / files.REPORT / files.REPORT_PAGE).read_text()
    assert "xsched is faster" in page
    assert f"<h1>{folder.name}</h1>" in page


def test_arms_that_cannot_be_compared_cost_no_findings(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"]}, repeats=3)
    asked = config(3, claims=1)
    asked.tracking.backend = "none"
    conclude(asked, [run.summary for run in load(folder)], folder)
    assert len(read_findings(folder)) == 1
    assert not (folder / files.REPORT).exists()
