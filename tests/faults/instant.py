"""The command with a trial that is over at once: everything around a trial is real, and what it
measured is made up, and figures are blank. ``python -m tests.faults.instant task_set=smoke …``;
takes no device, and no lock of one."""

import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as MatplotlibFigure

from models import ModelSpec
from runner.commands.run import main
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.contract import Platform
from runner.proof.checks import Check, Proof
from runner.proof.marks import Marks
from runner.sweep import job, turns
from runner.trial.run import TrialResult
from runner.trial.status import Status

MS = 1_000_000
#: Environment variables: seconds that the window lasts, and a file that ends it by being there.
WINDOW, UNTIL = "INSTANT_WINDOW_S", "INSTANT_WINDOW_UNTIL"
LONGEST_S = 60.0


def run_trial(
    trial: TrialSpec,
    platform: Platform,
    solo: dict[ModelSpec, float],
    folder: Path,
    progress: Any,
    before: Any,
) -> TrialResult:
    """In place of `runner.trial.run.run_trial`."""
    progress.say("measuring")
    before()
    time.sleep(float(os.environ.get(WINDOW, 0)))
    _wait_for_file(os.environ.get(UNTIL, ""))
    its_own = int(trial.config_hash[:4], 16)  # so that one run's data are not another's
    proof = Proof((Check("level", True, "fine"),)) if trial.uses_xsched else Proof()
    requests = [_requests(task, its_own) for task in trial.tasks]
    return TrialResult(
        Status.FINISHED,
        "",
        requests,
        {task.model: 0.01 + its_own / 1e8 for task in trial.tasks} | solo,
        proof,
        saturation=1.0,
        preemptions=0,
        timing_s={"window": 1.0},
        marks=tuple(Marks(of.name, 1, 1, of.completed, of.completed / 1) for of in requests),
        events={"at_ns": [its_own], "event": ["ready"], "task": ["urgent"], "completed": [0]},
    )


def _wait_for_file(named: str) -> None:
    give_up = time.monotonic() + LONGEST_S
    while named and not Path(named).exists() and time.monotonic() < give_up:
        time.sleep(0.01)


def _requests(task: TaskSpec, later_ns: int) -> TaskRequests:
    completed = np.arange(1, task.requests + 1, dtype=np.int64) * 10 * MS + later_ns
    started = completed - 9 * MS
    none = np.zeros((0, 3), np.int64)
    return TaskRequests(task.name, task.priority, task.requests, started, started, completed, none)


def command() -> None:
    """`runner.commands.run.main`, in this process. Raises SystemExit."""
    job.run_trial = run_trial
    job.device_lock = lambda *_: nullcontext()  # type: ignore[assignment,misc]
    turns.others = lambda _: []
    # Their files are written as ever; drawing takes longer than all else, and breaks nothing.
    MatplotlibFigure.savefig = lambda _, file, **__: file.write(b"drawn")  # type: ignore[assignment]
    main()


if __name__ == "__main__":
    command()
