"""What the scheduler is for: the urgent tasks' latency, against their floor and against native."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.report import Figure, at_least, at_most, report
from runner.runs.run import Run

TITLE = "Latency of urgent tasks under load"
URGENT = "urgent"
REPEATS = 3


def run() -> list[Figure]:
    with command.folder() as place:
        return [*six_bert(Path(place) / "six"), *urgent_vs_background(Path(place) / "urgent")]


def six_bert(root: Path) -> list[Figure]:
    command.run(
        "task_set=six_bert",
        "task_set.requests=100",
        "-m",
        "arm=urgent_only,native,xsched",
        root=root,
    )
    runs = command.runs(root)
    p99 = {name: run.summary.figures["p99_ms/priority_3"].value for name, run in runs.items()}
    what = "six_bert, 100 requests a task, p99 of priority 3 ÷ urgent_only"
    return [
        over_floor(f"{what}: xsched 8/4", p99["xsched"] / p99["urgent_only"], 1.20),
        report(f"{what}: native", p99["native"] / p99["urgent_only"]),
    ]


def urgent_vs_background(root: Path) -> list[Figure]:
    """Ratios within a repeat, and the median over the repeats: the machine's speed drifts. The one
    urgent task alone is arm urgent_only, which is its solo run on the same schedule."""
    base = "task_set=urgent_vs_background"
    repeats = []
    for repeat in range(REPEATS):
        here = root / str(repeat)
        command.run(base, "-m", "arm=urgent_only,native,xsched", root=here)
        command.run(base, "-m", "xsched.threshold=4", root=here)
        command.run(base, "xsched.level=interrupt", root=here)
        repeats.append(command.runs(here))
    what = f"urgent_vs_background, {REPEATS} repeats"
    figures = [
        report(f"{what}, native: {p} ÷ solo", median(repeats, "native", ratio, p))
        for p in ("p50", "p99")
    ]
    for name, label, limits in (
        ("block", "block 4/4", (1.15, 1.25)),
        ("xsched", "block 8/4", (1.15, 1.25)),
        ("interrupt", "interrupt 8/4", (1.08, 1.15)),
    ):
        for p, limit in zip(("p50", "p99"), limits, strict=True):
            value = median(repeats, name, ratio, p)
            figures.append(over_floor(f"{what}, {label}: {p} ÷ solo", value, limit))
        value = median(repeats, name, background, "")
        figures.append(at_least(f"{what}, {label}: background throughput ÷ native", value, 0.95))
    return figures


def over_floor(what: str, value: float, limit: float) -> Figure:
    """Nothing is faster than alone: a ratio below 1 is drift, and meets nothing."""
    figure = at_most(what, value, limit)
    return figure if value >= 1 else replace(figure, met=None)


Runs = dict[str, Run]


def median(
    repeats: list[Runs], name: str, figure: Callable[[Runs, str, str], float], which: str
) -> float:
    return float(np.median([figure(runs, name, which) for runs in repeats]))


def ratio(runs: Runs, name: str, figure: str) -> float:
    value, floor = (
        runs[each].summary.figures[f"{figure}_ms/{URGENT}"].value for each in (name, "urgent_only")
    )
    return value / floor


def background(runs: Runs, name: str, _: str) -> float:
    return throughput(runs[name]) / throughput(runs["native"])


def throughput(run: Run) -> float:
    """Of the background tasks together, requests a second."""
    tasks = [name for name in run.summary.tasks if name != URGENT]
    return sum(run.summary.figures[f"throughput_rps/{name}"].value for name in tasks)
