"""Conclusions are made once of the same runs in the same way, and anew of anything else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runner.config.errors import UserError
from runner.config.schema import ExpectConfig
from runner.results.console import console
from runner.results.expectations import read_findings
from runner.runs import files
from runner.runs.load import load
from runner.sweep.conclusion import Judgement, conclude
from runner.sweep.result import result_of
from tests.conftest import blank
from tests.runner.results.report import made_up
from tests.runner.run_folders import MadeTask, write_run, write_sweep

pytestmark = pytest.mark.usefixtures("blank_figures")

QUICK = ExpectConfig(what="quick", metric="p99_ms/urgent", of="arm=native", at_most=1e9)
SLOW = ExpectConfig(what="slow", metric="p99_ms/urgent", of="arm=native", at_least=1e9)
CONCLUSIONS = {"expectations.json", "comparison.csv", "comparison.tex", "comparison.json"}


@pytest.fixture(scope="module")
def concluded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, three repeats, judged once."""
    folder = made_up.sweep(tmp_path_factory.mktemp("arms"), {"arm": ["native", "xsched"]}, 3)
    with blank():
        assert conclude(Judgement([QUICK], None), folder) == []
    return folder


def verdicts(folder: Path) -> list[str]:
    return [each["verdict"] for each in json.loads((folder / files.EXPECTATIONS).read_text())]


def test_all_of_it_is_there(concluded: Path) -> None:
    names = {path.name for path in concluded.iterdir()}
    assert names >= {*CONCLUSIONS, files.REPORT, files.CONCLUDED}
    assert verdicts(concluded) == ["met"]


def test_what_it_came_to_is_kept_in_words(concluded: Path) -> None:
    found = files.read_conclusion(concluded)
    assert found.verdicts[0].startswith("xsched is better than native: p90 of priority 1 is")
    assert found.primary == "p90_ms/priority_1"
    assert "| xsched&nbsp; |" in found.table
    assert (concluded / found.picture).is_file()
    ratio = found.metrics["ratio/xsched"]
    assert found.metrics["ratio_low/xsched"] < ratio < found.metrics["ratio_high/xsched"] < 1
    assert ratio == pytest.approx(
        found.metrics["p90_ms/priority_1/xsched"] / found.metrics["p90_ms/priority_1/native"]
    )


def test_names_of_metrics_are_such_as_mlflow_takes(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"], "xsched.threshold": ["4", "8"]}, 3)
    assert conclude(Judgement([], None), folder) == []
    metrics = files.read_conclusion(folder).metrics
    assert "p90_ms/priority_1/xsched threshold 8" in metrics
    assert all(re.fullmatch(r"[\w./: -]+", name, re.ASCII) for name in metrics)


def test_the_end_is_one_screen_and_all_of_it_if_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3, requests=20)
    said = []
    for verbose in (False, True):
        monkeypatch.setattr(console, "verbose", verbose)
        assert conclude(Judgement([SLOW], None), folder) == []
        said.append(capsys.readouterr().out)
        assert "xsched is better than native" in said[-1]
        assert "Expectations: 1 not met. Not met: slow." in said[-1]
        assert f"report: {folder}/report/report.html" in said[-1]
    assert len(said[0].splitlines()) < 25
    assert ["throughput_rps" in each for each in said] == [False, True]


def test_the_same_is_judged_once(concluded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (concluded / files.EXPECTATIONS).stat().st_mtime_ns
    assert conclude(Judgement([QUICK], None), concluded) == []
    assert "judged already" in capsys.readouterr().out
    assert (concluded / files.EXPECTATIONS).stat().st_mtime_ns == before


def judge_anew(folder: Path, judgement: Judgement, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(judgement, folder) == []
    assert "judged already" not in capsys.readouterr().out


def test_another_expectation_or_figure_that_decides_is_judged_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3)
    judge_anew(folder, Judgement([QUICK], None), capsys)
    judge_anew(folder, Judgement([SLOW], None), capsys)
    assert verdicts(folder) == ["not met"]
    judge_anew(folder, Judgement([SLOW], "p50_ms/urgent"), capsys)
    rows = json.loads((folder / "comparison.json").read_text())
    assert "p50_ms/urgent" in json.dumps(rows)


def test_other_records_are_judged_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]})
    judge_anew(folder, Judgement([QUICK], None), capsys)
    made_up.edit(folder / "native-r0", notes=("something else",))
    judge_anew(folder, Judgement([QUICK], None), capsys)
    (folder / "native-r0" / files.REQUESTS).unlink()
    judge_anew(folder, Judgement([QUICK], None), capsys)
    assert verdicts(folder) == ["inconclusive"], "what is no result shows nothing"


def test_a_run_with_nothing_to_conclude_leaves_nothing(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native"]})
    before = {path.name for path in folder.iterdir()}
    assert conclude(Judgement([], None), folder) == []
    assert {path.name for path in folder.iterdir()} == before


def test_what_cannot_be_written_is_said_and_the_rest_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3)
    (folder / files.EXPECTATIONS).mkdir()
    (said,) = conclude(Judgement([QUICK], None), folder)
    assert said.startswith("not concluded: Is a directory: ")
    assert said.endswith("(the runs are complete)")
    assert (folder / files.REPORT / files.REPORT_PAGE).exists()
    (folder / files.EXPECTATIONS).rmdir()
    judge_anew(folder, Judgement([QUICK], None), capsys)


def test_a_sweep_that_vanished_is_said(tmp_path: Path) -> None:
    (said,) = conclude(Judgement([QUICK], None), tmp_path / "gone")
    assert "is not there" in said


# --- what runs declare themselves ----------------------------------------------------------------


def declared(tmp_path: Path, **config: Any) -> Judgement:
    write_run(tmp_path / "sweep" / "a", "native", {"urgent": MadeTask([1.0])}, config)
    return Judgement.declared(load(write_sweep(tmp_path / "sweep", [{"folder": "a"}])))


def test_what_runs_are_judged_by_is_in_their_configurations(tmp_path: Path) -> None:
    said = [{"what": "quick", "at_most": 3.0, "of": "arm=native"}]
    found = declared(tmp_path, expect=said, sweep={"primary": "p50_ms/urgent"})
    assert list(found.expect) == [ExpectConfig(what="quick", at_most=3.0, of="arm=native")]
    assert found.primary == "p50_ms/urgent"


def test_without_a_word_of_it_nothing_is_expected(tmp_path: Path) -> None:
    assert declared(tmp_path) == Judgement([], None)


@pytest.mark.parametrize(
    "config",
    [{"expect": 3}, {"expect": ["x"]}, {"expect": [{"what": []}]}, {"sweep": {"primary": 3}}],
)
def test_what_is_no_expectation_is_one_message(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expect or sweep\.primary is none"):
        declared(tmp_path, **config)


def test_without_a_run_there_is_nothing_to_judge_by(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run has ended"):
        Judgement.declared(load(write_sweep(tmp_path / "empty", [])))


def test_what_no_longer_holds_does_not_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3)
    assert conclude(Judgement([SLOW], None), folder) == []
    assert {path.name for path in folder.iterdir()} >= CONCLUSIONS
    old = folder / files.REPORT / files.FIGURES / "heat_map.png"
    old.write_text("of an earlier page")
    judge_anew(folder, Judgement([], None), capsys)
    assert read_findings(folder) == []
    assert not old.exists()
    assert [*(folder / files.REPORT / files.FIGURES).glob("*.png")]
    for path in folder.glob(f"native-*/{files.REQUESTS}"):
        path.unlink()
    assert conclude(Judgement([], None), folder) == []
    assert not {path.name for path in folder.iterdir()} & CONCLUSIONS


def test_figures_of_several_task_sets_have_a_name_each(tmp_path: Path) -> None:
    entries = [
        {"folder": write_run(tmp_path / f"{name}-{arm}{n}", arm, tasks, config, n).name}
        for name, scale in (("light", 1.0), ("heavy", 10.0))
        for arm, ms in (("native", 2.0), ("xsched", 1.0))
        for n in range(3)
        for tasks in [{"urgent": MadeTask([scale * (ms + n / 100)] * 9, 1)}]
        for config in [{"task_set": {"name": name, "tasks": {"urgent": {"priority": 1}}}}]
    ]
    folder = write_sweep(tmp_path, entries)
    assert conclude(Judgement([], "p50_ms/urgent"), folder) == []
    metrics = files.read_conclusion(folder).metrics
    assert metrics["light/p50_ms/urgent/native"] == pytest.approx(2.01, rel=0.01)
    assert metrics["heavy/p50_ms/urgent/native"] == pytest.approx(20.1, rel=0.01)
    assert {"light/ratio/xsched", "heavy/ratio/xsched"} <= metrics.keys()


def test_everybody_judges_by_the_figure_that_it_was_concluded_by(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3)
    assert conclude(Judgement([], "p50_ms/urgent"), folder) == []
    assert files.read_conclusion(folder).primary == "p50_ms/urgent"
    found = result_of(folder, 0)
    assert (found.primary, {each.figure for each in found.verdicts}) == (
        "p50_ms/urgent",
        {"p50_ms/urgent"},
    )
    assert load(folder).concluded_by == "p50_ms/urgent"
