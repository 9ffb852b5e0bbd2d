"""A point of a comparison and of a report: one arm at one combination of swept values, with its
repeats."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from runner.config.arms import Arm
from runner.config.settings import is_number
from runner.metrics import METRICS
from runner.metrics.intervals import Estimate
from runner.metrics.latency import response
from runner.metrics.paired import over_repeats
from runner.metrics.task import Times, pooled
from runner.runs.run import Run
from runner.runs.summary import LACKING
from runner.trial.status import Status

Values = Mapping[str, str | None]


@dataclass(frozen=True, eq=False)
class Point:
    """label: what tells it from the other points; without the arm where there is only one."""

    runs: tuple[Run, ...]
    label: str

    @property
    def task_set(self) -> str:
        return self.runs[0].task_set

    @property
    def arm(self) -> str:
        return self.runs[0].arm

    @property
    def values(self) -> dict[str, str | None]:
        """By swept key other than the arm; None where the arm does not depend on it."""
        return self.runs[0].values

    @property
    def selector(self) -> str:
        """``xsched``, or ``xsched,xsched.threshold=8`` as --baseline takes it."""
        fixed = [f"{key}={value}" for key, value in self.values.items() if value is not None]
        return ",".join([self.arm, *fixed])

    @cached_property
    def counted(self) -> list[Run]:
        """Runs whose figures are shown: those that are compared or, if there is none, the valid
        ones, or else the finished ones."""
        finished = [run for run in self.runs if run.status is Status.FINISHED]
        valid = [run for run in finished if run.summary.valid]
        return [run for run in valid if not left_out(run)] or valid or finished

    @cached_property
    def priorities(self) -> list[int]:
        """Of tasks with requests, the most urgent first."""
        measured = {task.priority for run in self.counted for task in run.tasks.values()}
        return sorted(measured, reverse=True)

    def response_ms(self, priority: int) -> list[Times]:
        """Response latencies of a priority's requests, of every counted run that has some."""
        by_run = [[t for t in r.tasks.values() if t.priority == priority] for r in self.counted]
        return [pooled(tasks, response) for tasks in by_run if tasks]

    def estimate(self, tag: str, priority: int) -> Estimate | None:
        """A figure of a priority."""
        by_run = [run.figure(f"{tag}/priority_{priority}") for run in self.counted]
        known = [one for one in by_run if one is not None and not math.isnan(one.value)]
        return combined(known, METRICS[tag].by_ratio) if known else None


def combined(estimates: Sequence[Estimate], by_ratio: bool = True) -> Estimate:
    """One estimate of one a run: over the repeats or, of a single run, within it."""
    if len(estimates) == 1:
        return estimates[0]
    found = over_repeats([estimate.value for estimate in estimates], by_ratio)
    return replace(found, is_maximum=any(estimate.is_maximum for estimate in estimates))


def left_out(run: Run, invalid: bool = False) -> str:
    """Why a run is not compared and no expectation is judged by it; "" if it counts. invalid: those
    that are marked not valid or lack requests do, too."""
    if run.status is not Status.FINISHED:
        return ": ".join(filter(None, [run.status, run.summary.reason]))
    if invalid:
        return ""
    if not run.summary.valid:
        return next((note for note in run.summary.notes if "not valid" in note), "not valid")
    if run.summary.cut or run.parameters.get("task_set.duration_s") is not None:
        return next((note for note in run.summary.notes if note.startswith(LACKING)), "")
    return ""  # all requests that count are there


def points_of(runs: Iterable[Run]) -> list[Point]:
    """By task set, arms as the reference lists them, values in their order; runs were shuffled."""
    grouped: dict[object, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.point, []).append(run)
    several_arms = len({repeats[0].arm for repeats in grouped.values()}) > 1
    points = []
    for repeats in grouped.values():
        name = spoken(repeats[0].arm, repeats[0].values)
        label = name if several_arms else name.partition(", ")[2] or name
        points.append(Point(tuple(sorted(repeats, key=lambda run: run.repeat)), label))
    values = {point: [_sortable(value) for value in point.values.values()] for point in points}
    return sorted(points, key=lambda p: (p.task_set, Arm.place(p.arm), p.arm, values[p]))


def _sortable(value: str | None) -> tuple[int, float, str]:
    """Numbers by size, then texts. Levels are in their order in the alphabet, too."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if is_number(value) else (2, 0.0, value)


def spoken(arm: str, values: Values) -> str:
    """``xsched, threshold=8``."""
    named = [f"{k.rpartition('.')[2]}={v}" for k, v in values.items() if v is not None]
    return ", ".join([arm, *named])


def swept_values(points: Sequence[Point], key: str) -> list[str]:
    """The values of a key, in their order."""
    return sorted({value for p in points if (value := p.values.get(key))}, key=_sortable)
