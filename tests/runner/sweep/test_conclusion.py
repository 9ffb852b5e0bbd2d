"""What a sweep comes to, and when it is made anew."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from runner.config.schema import ExpectConfig
from runner.results.expectations import INCONCLUSIVE, MET, NOT_MET, read_findings
from runner.runs import files
from runner.runs.load import load
from runner.sweep import conclusion
from runner.sweep.conclusion import Judgement, conclude
from tests.runner.results.report import made_up

COMPARISON = ("csv", "tex", "json", "png")
RATIO = partial(ExpectConfig, metric="p50_ms/highest", of="arm=xsched", to="arm=native")
NOTHING = Judgement([], None)
Said = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, repeats=3)


def test_a_sweep_comes_to_findings_a_comparison_and_a_report(folder: Path, capsys: Said) -> None:
    expect = [
        RATIO(what="xsched is faster", at_most=0.9),
        RATIO(what="and is not", at_least=1.1),
        ExpectConfig(what="nobody ran", metric="p50_ms/highest", of="arm=solo", at_most=1.0),
        ExpectConfig(what="it is proven", metric="proof", of="arm=xsched", equals="proven"),
    ]
    assert conclude(Judgement(expect, None), folder) == []
    findings = read_findings(folder)
    assert [(each.what, each.verdict) for each in findings] == [
        ("xsched is faster", MET),
        ("and is not", NOT_MET),
        ("nobody ran", INCONCLUSIVE),
        ("it is proven", MET),
    ]
    assert findings[0].interval is not None
    shown = " ".join(capsys.readouterr().out.split())
    assert findings[0].shown in shown
    assert "there is no such run" in shown
    names = {path.name for path in folder.iterdir() if path.is_file()}
    made = {files.SWEEP, files.EXPECTATIONS, files.CONCLUDED}
    assert names == made | {f"comparison.{each}" for each in COMPARISON}
    page = (folder / files.REPORT / files.REPORT_PAGE).read_text()
    assert "xsched is faster" in page
    assert f"<h1>{folder.name}</h1>" in page


def test_arms_that_cannot_be_compared_cost_no_findings(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"]}, repeats=3)
    assert conclude(Judgement([RATIO(what="w", at_most=1.0)], None), folder) == []
    assert len(read_findings(folder)) == 1
    assert not (folder / files.REPORT).exists()


def test_what_has_been_judged_is_not_judged_again(folder: Path, capsys: Said) -> None:
    conclude(NOTHING, folder)
    before = (folder / files.CONCLUDED).stat().st_mtime_ns
    assert conclude(NOTHING, folder) == []
    assert "judged already" in capsys.readouterr().out
    assert (folder / files.CONCLUDED).stat().st_mtime_ns == before


def test_a_corrected_expectation_is_judged(folder: Path) -> None:
    conclude(Judgement([RATIO(what="w", at_most=0.1)], None), folder)
    assert read_findings(folder)[0].verdict == NOT_MET
    conclude(Judgement([RATIO(what="w", at_most=0.9)], None), folder)
    assert read_findings(folder)[0].verdict == MET


def test_another_primary_decides(folder: Path, capsys: Said) -> None:
    conclude(NOTHING, folder)
    conclude(Judgement([], "throughput_rps/urgent"), folder)
    assert "judged already" not in capsys.readouterr().out
    page = (folder / files.REPORT / files.REPORT_PAGE).read_text()
    assert "throughput of urgent" in page


def test_runs_that_have_changed_are_judged_anew(folder: Path, capsys: Said) -> None:
    conclude(NOTHING, folder)
    first = load(folder)[0]
    files.write_json(first.folder / files.SUMMARY, replace(first.summary, notes=("disturbed",)))
    capsys.readouterr()
    conclude(NOTHING, folder)
    assert "judged already" not in capsys.readouterr().out


def test_a_conclusion_that_fails_is_said_and_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no letters in that font")

    with monkeypatch.context() as patched:
        patched.setattr(conclusion, "show_expectations", broken)
        (trouble,) = conclude(Judgement([RATIO(what="w", at_most=0.9)], None), folder)
    assert "no letters in that font" in trouble
    assert (folder / files.REPORT / files.REPORT_PAGE).is_file(), "the others are made"
    assert conclude(Judgement([RATIO(what="w", at_most=0.9)], None), folder) == []


def test_the_runs_themselves_say_what_they_were_to_be_judged_by(folder: Path) -> None:
    assert Judgement.declared(load(folder)) == NOTHING
