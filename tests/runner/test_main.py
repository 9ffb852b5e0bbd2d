import subprocess

from runner.commands.run import arguments
from runner.config.command_line import ADDED
from tests.conftest import Run


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
        *(f"runner.{name}" for name in ("compare", "report", "replay", "export", "doctor")),
    ):
        assert word in done.stdout


def test_the_composed_configuration_can_be_printed(run: Run) -> None:
    done = run("task_set=smoke", "xsched.threshold=16", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "threshold: 16" in done.stdout
    assert "name: smoke" in done.stdout
