"""What a finished sweep of 60 runs with 1,000 requests a task costs to judge and to resume."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.report import Figure, at_most, report

TITLE = "A sweep of 60 runs with 1,000 requests a task"
#: Four points, for native does not depend on the threshold; fifteen repeats of them.
SWEEP = (
    "task_set=smoke",
    "platform=host",
    "tracking=none",
    "task_set.requests=1000",
    "task_set.keep_load=false",
    "task_set.tasks.urgent.model.work_us=50",
    "task_set.tasks.urgent.arrival.load=0.5",
    "task_set.tasks.background.model.work_us=10",
    "sweep.repeats=15",
    "-m",
    "arm=native,xsched",
    "xsched.threshold=4,8,16",
)
ROUNDS = 3


def run() -> list[Figure]:
    with command.folder() as place:
        root = Path(place)
        command.run(*SWEEP, root=root)
        (sweep,) = (path.parent for path in root.glob("*/sweep.json"))
        runs = len(command.runs(root))
        assert runs == 60, runs
        judging = median(lambda: module("runner.report", str(sweep)))
        comparing = median(lambda: module("runner.compare", str(sweep)))
        planned = median(lambda: command.run(*SWEEP, "dry_run=true", root=root))
        resumed = median(lambda: command.run(*SWEEP, root=root))
    return [
        at_most("python -m runner.report, figures and comparison included", judging, 10.0, " s"),
        report("python -m runner.compare", comparing, " s"),
        at_most(
            "the finished sweep again (nothing is left to run), less what a dry run of it takes",
            resumed - planned,
            3.0,
            " s",
        ),
        report("the dry run: start-up and the check of all points", planned, " s"),
    ]


def median(seconds: Callable[[], float]) -> float:
    return float(np.median([seconds() for _ in range(ROUNDS)]))


def module(name: str, *arguments: str) -> float:
    """Run a command beside the runner; seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=command.ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(command.ROOT)},
    )
    return time.perf_counter() - start
