import json
import subprocess
from pathlib import Path

import msgspec

from runner.commands.run import arguments
from runner.config.command_line import ADDED
from runner.sweep.result import Result
from tests import forked
from tests.conftest import Run, environment
from tests.faults import instant


def test_options_may_stand_anywhere_and_a_sweep_is_always_meant() -> None:
    expected = ["a=1", "x=1,2", *ADDED]
    assert arguments(["a=1", "-m", "x=1,2"]) == expected
    assert arguments(["a=1", "x=1,2", "--multirun"]) == expected
    assert arguments(["a=1", "x=1,2"]) == expected
    assert arguments(["a=1", "--config-dir", "d", "b=2"])[:4] == (
        ["--config-dir", "d", "a=1", "b=2"]
    )


def test_what_hydra_only_prints_runs_nothing() -> None:
    assert arguments(["a=1", "--cfg", "job", "-m", "b=1"]) == ["--cfg", "job", "a=1", "b=1"]


def test_help_lists_the_choices(run: Run) -> None:
    done: subprocess.CompletedProcess[str] = run("--help")
    assert done.returncode == 0
    for word in (
        "six_bert",
        "urgent_vs_background",
        "xsched_null",
        "bert_large",
        "docs/reference.md",
        "--version",
        *(
            f"runner.{name}"
            for name in ("compare", "report", "replay", "export", "campaign", "doctor")
        ),
    ):
        assert word in done.stdout


def test_the_composed_configuration_can_be_printed(run: Run) -> None:
    done = run("task_set=smoke", "xsched.threshold=16", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "threshold: 16" in done.stdout
    assert "name: smoke" in done.stdout


SMOKE = ("task_set=smoke", "task_set.requests=3", "tracking=none", "warmup=1")


def instantly(folder: Path, *given: str) -> "subprocess.CompletedProcess[str]":
    """The command with trials that are over at once."""
    asked = (*SMOKE, *given, f"output_root={folder / 'out'}")
    return forked.run(instant.command, *asked, cwd=folder, environment=environment())


def test_a_program_gets_one_object_and_a_person_all_else(tmp_path: Path) -> None:
    done = instantly(tmp_path, "--json", "arm=native,xsched", "-v")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["status"] for run in told["runs"]] == ["FINISHED", "FINISHED"]
    assert told["exit_code"] == 0
    assert "results: " in done.stderr


def test_of_a_dry_run_a_program_gets_what_there_is_to_do(tmp_path: Path) -> None:
    assert instantly(tmp_path, "task_set.check=false", "arm=native").returncode == 0
    done = instantly(
        tmp_path, "task_set.check=false", "arm=native,xsched", "--json", "dry_run=true"
    )
    result = msgspec.json.decode(done.stdout, type=Result)
    assert (result.exit_code, result.folder) == (0, None)
    assert result.outlook is not None
    assert [each.done for each in result.outlook.runs] == [True, False]
    assert result.outlook.there.startswith("smoke-")
    assert result.outlook.minutes == result.outlook.todo[0].minutes
    assert "nothing was run" in done.stderr


def test_quiet_shows_the_end_alone(tmp_path: Path) -> None:
    done = instantly(tmp_path, "-q", "arm=native,xsched")
    assert done.returncode == 0, done.stderr
    assert "1 of 2" not in done.stdout
    assert "results: " in done.stdout


def test_strict_is_a_failure_where_an_expectation_is_not_met(tmp_path: Path) -> None:
    claim = "expect=[{what: quick, metric: proof, of: 'arm=native', equals: proven}]"
    assert instantly(tmp_path, "arm=native", claim).returncode == 0
    done = instantly(tmp_path, "arm=native", claim, "--strict")
    assert done.returncode == 1
    assert "expectation not met: quick" in done.stdout
