"""What is quick: joblib on this machine, and launchers that are not installed."""

import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from runner.config.schema import Config
from tests.clusters.sweeps import SWEEP, check, ended, said, start_by
from tests.conftest import ROOT, Run, environment

CONF = ROOT / "conf"
LAUNCHERS = sorted((CONF / "hydra" / "launcher").glob("*.yaml"))
PLUGINS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
    "slurm": "hydra_plugins.hydra_submitit_launcher",
}


JOBLIB = ("hydra/launcher=joblib", "tracking=none")


def shorter(repeats: int, *arms: str) -> list[str]:
    """The sweep, with less of it."""
    short = (*SWEEP, f"arm={','.join(arms)}", f"sweep.repeats={repeats}")
    return list({word.partition("=")[0]: word for word in short}.values())


def installed(launcher: str) -> bool:
    return find_spec(PLUGINS[launcher]) is not None


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_it_opens_with_the_command_that_chooses_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("# python -m runner ")
    assert f"hydra/launcher={path.stem}" in first


@pytest.mark.parametrize("launcher", PLUGINS)
def test_it_composes(launcher: str) -> None:
    if not installed(launcher):
        pytest.skip(f"the launcher of {launcher} is not installed")
    ConfigStore.instance().store(name="schema", node=Config)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = compose("config", [f"hydra/launcher={launcher}"], return_hydra_config=True)
    assert PLUGINS[launcher] in found.hydra.launcher._target_


@pytest.mark.parametrize("launcher", PLUGINS)
def test_one_that_is_not_installed_says_what_brings_it(launcher: str, run_here: Run) -> None:
    if installed(launcher):
        pytest.skip(f"the launcher of {launcher} is installed")
    done = run_here("task_set=smoke", f"hydra/launcher={launcher}")
    assert done.returncode == 2
    assert "this launcher is not installed" in done.stderr
    assert f"pip install {PLUGINS[launcher].partition('.')[2].replace('_', '-')}" in done.stderr


def test_no_worker_at_all_is_refused(run_here: Run) -> None:
    done = run_here("task_set=smoke", *JOBLIB, "hydra.launcher.n_jobs=0")
    assert done.returncode == 2
    assert "hydra.launcher.n_jobs=0: no job would ever run" in done.stderr


def test_a_lone_worker_of_joblib_works_in_the_commands_own_process(
    run: Run, tmp_path: Path
) -> None:
    done = run(*shorter(2, "native"), *JOBLIB, "hydra.launcher.n_jobs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 runs are valid" in done.stdout


def test_an_interruption_ends_the_jobs_that_run_and_those_that_wait(tmp_path: Path) -> None:
    """It is told to the command alone, as a queue or a service does it."""
    first = start_by(JOBLIB, environment(), tmp_path, sweep=shorter(3, "native"))
    until = time.monotonic() + 60
    while not list(tmp_path.glob("out/*/*/config.yaml")) and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    assert ended(first, tmp_path) == 130, said(tmp_path)
    assert "interrupted: what was measured is kept" in said(tmp_path)
    begun = len(list(tmp_path.glob("out/*/*/config.yaml")))
    time.sleep(2)
    assert len(list(tmp_path.glob("out/*/*/config.yaml"))) == begun < 3
    second = start_by(JOBLIB, environment(), tmp_path, "log2", shorter(3, "native"))
    assert ended(second, tmp_path, "log2") == 0, said(tmp_path, "log2")
    assert "3 of 3 runs are valid" in said(tmp_path, "log2")


def test_joblib_runs_a_repeat_a_job(run: Run, tmp_path: Path) -> None:
    """By as many workers as there are jobs, at the most."""
    arms = ("native", "xsched")
    done = run(*shorter(2, *arms), *JOBLIB, "hydra.launcher.n_jobs=1000")
    assert done.returncode == 0, done.stderr
    assert len(check(tmp_path, 2, arms)) == 4
