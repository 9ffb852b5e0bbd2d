"""What a program is told of a sweep, and what a strict one does not let pass."""

import json
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.results.expectations import MET, NOT_MET, Finding
from runner.runs import files
from runner.runs.record import Figure
from runner.sweep.result import Result, result_of
from runner.trial.status import Status
from tests.runner.results.report import made_up

ARMS = {"arm": ["native", "xsched"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, three repeats, one run that failed and one that is not valid."""
    root = tmp_path_factory.mktemp("result")
    made = made_up.sweep(root, ARMS, repeats=4, requests=20, broken=["xsched-r3"])
    made_up.edit(made / "native-r3", valid=False)
    findings = [Finding("quick", NOT_MET, 3.0, None, "≤ 1"), Finding("fair", MET, 1.0, None, "≤ 1")]
    files.write_json(made / files.EXPECTATIONS, findings)
    return made


def test_every_run_with_its_status_and_the_figure_that_decides(folder: Path) -> None:
    result = result_of(folder, 1)
    assert (result.exit_code, result.folder) == (1, str(folder))
    assert result.primary == "p90_ms/priority_1"
    runs = {run.name: run for run in result.runs}
    assert len(runs) == 8
    failed, invalid, good = runs["xsched-r3"], runs["native-r3"], runs["xsched-r0"]
    assert (failed.status, failed.primary) == (Status.FAILED, None)
    assert "the queues saw 3 of 60 commands" in failed.reason
    assert (invalid.status, invalid.valid) == (Status.FINISHED, False)
    assert isinstance(good.primary, Figure)
    assert (good.arm, good.repeat, good.valid) == ("xsched", 0, True)


def test_verdicts_by_the_figure_that_decides_alone(folder: Path) -> None:
    (verdict,) = result_of(folder, 0).verdicts
    assert (verdict.treatment, verdict.baseline) == ("xsched", "native")
    assert (verdict.figure, verdict.verdict) == ("p90_ms/priority_1", "better")
    assert verdict.ratio is not None
    assert verdict.ratio < 1


def test_strict_lets_neither_invalid_runs_nor_unmet_expectations_pass(folder: Path) -> None:
    faults = result_of(folder, 0).faults
    assert faults == ["not valid: native-r3", "expectation not met: quick"]


def test_it_is_one_json_object(folder: Path) -> None:
    told = json.loads(files.as_json(result_of(folder, 0)))
    assert told["schema"] == 1
    assert told["expectations"][0]["verdict"] == NOT_MET


def test_where_nothing_was_run_there_is_nothing() -> None:
    assert result_of(None, 0) == Result(exit_code=0)
    assert result_of(None, 0).faults == []


def test_of_one_arm_nothing_is_compared(tmp_path: Path) -> None:
    result = result_of(made_up.sweep(tmp_path, {"arm": ["native"]}), 0)
    assert (result.verdicts, len(result.runs)) == ([], 1)


def test_a_folder_that_vanished_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        result_of(tmp_path / "gone", 0)
