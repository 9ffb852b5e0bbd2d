"""The points of a comparison, and which run of the baseline belongs to which run of another."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics import METRICS, Metric, Task
from runner.metrics.intervals import Estimate
from runner.runs.record import RunRecord

BASELINE = Arm.native
PRIMARY = "p99_ms"

Values = Mapping[str, str | None]


@dataclass(frozen=True)
class Scope:
    """What a figure is about; key as in ``p99_ms/priority_3``, label as a person reads it."""

    key: str
    label: str
    tasks: tuple[str, ...]
    of_all: bool = False


class Measured:
    """A run and its figures, each computed once."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self._figures: dict[tuple[str, Scope], Estimate | None] = {}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        return self.record.requests()

    @property
    def sm_clock_mhz(self) -> float | None:
        """The median over the run; None on a CPU and where the GPU did not tell."""
        device = self.record.summary.get("device") or {}
        clock = (device.get("telemetry") or {}).get("sm_clock_mhz") or {}
        return clock.get("median") or None

    def scopes(self) -> Iterator[Scope]:
        """Priorities, the most urgent first; tasks; all of them together."""
        tasks = self.tasks.values()
        for priority in sorted({task.priority for task in tasks}, reverse=True):
            names = tuple(sorted(task.name for task in tasks if task.priority == priority))
            yield Scope(f"priority_{priority}", f"priority {priority}", names)
        for task in tasks:
            yield Scope(task.name, task.name, (task.name,))
        if not ((arm := Arm.known(self.record.arm)) and arm.runs_tasks_alone):
            yield Scope("system", "system", tuple(sorted(self.tasks)), of_all=True)

    def figure(self, metric: Metric, scope: Scope) -> Estimate | None:
        """None where the run does not have it."""
        key = (metric.tag, scope)
        if key not in self._figures:
            known = scope in list(self.scopes()) and metric.of_all == scope.of_all
            found = metric([self.tasks[name] for name in scope.tasks]) if known else None
            self._figures[key] = None if found is None or math.isnan(found.value) else found
        return self._figures[key]


@dataclass(frozen=True)
class Point:
    """One arm at one combination of swept values."""

    task_set: str
    arm: str
    values: tuple[tuple[str, str | None], ...]
    runs: tuple[Measured, ...]

    @property
    def name(self) -> str:
        """``xsched``, or ``xsched,xsched.threshold=8`` as --baseline takes it."""
        fixed = [f"{key}={value}" for key, value in self.values if value is not None]
        return ",".join([self.arm, *fixed])


def points_of(runs: Sequence[Measured]) -> list[Point]:
    grouped: dict[object, list[Measured]] = {}
    for run in runs:
        grouped.setdefault(run.record.point, []).append(run)
    points = []
    for group in grouped.values():
        first = group[0].record
        ordered = tuple(sorted(group, key=lambda run: run.record.repeat))
        points.append(Point(first.task_set, first.arm, tuple(first.values.items()), ordered))
    return sorted(points, key=_order)


def _order(point: Point) -> tuple[Any, ...]:
    """Arms as the reference lists them, values as numbers where they are; runs were shuffled."""
    at = Arm.place(point.arm)
    return point.task_set, at, point.arm, [_sortable(value) for _, value in point.values]


def _sortable(value: str | None) -> tuple[int, float, str]:
    try:
        return (0, 0.0, "") if value is None else (1, float(value), "")
    except ValueError:
        return 2, 0.0, str(value)


@dataclass(frozen=True)
class Selector:
    """The baseline: an arm, and the values that it is fixed at."""

    arm: str
    fixed: dict[str, str]

    @property
    def name(self) -> str:
        return ",".join([self.arm, *(f"{key}={value}" for key, value in self.fixed.items())])

    def takes(self, point: Point) -> bool:
        values = dict(point.values)
        return point.arm == self.arm and all(values.get(k) == v for k, v in self.fixed.items())

    def serves(self, run: Measured, values: Values) -> bool:
        """Whether the run is the other side of a treatment at these values: the same ones, but for
        those that the baseline is fixed at or does not depend on."""
        own = run.record.values
        return all(
            key in self.fixed or own.get(key) is None or own[key] == value
            for key, value in values.items()
        )


def selector_of(points: list[Point], wanted: str | None) -> Selector:
    """The baseline that is asked for; else native, else the first arm, else the first point."""
    arms = list(dict.fromkeys(point.arm for point in points))
    if wanted is None:
        if len(arms) == 1 and len(points) > 1:
            return Selector(arms[0], {k: v for k, v in points[0].values if v is not None})
        return Selector(BASELINE if BASELINE in arms else arms[0], {})
    arm, *fixed = wanted.split(",")
    selector = Selector(arm, dict(_key_value(each, wanted) for each in fixed))
    if not any(selector.takes(point) for point in points):
        allowed = arms if arm not in arms else [point.name for point in points if point.arm == arm]
        raise UserError("baseline", wanted, "no run of it has a result", allowed)
    return selector


def _key_value(text: str, wanted: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError("baseline", wanted, "not understood", "arm or arm,key=value")
    return key, value


def pairs(point: Point, points: list[Point], selector: Selector) -> list[tuple[Measured, Measured]]:
    """(baseline, treatment) of every repeat that has both; the baseline that says most about the
    swept values goes before one that serves them all."""
    candidates = [
        run
        for other in points
        if other.task_set == point.task_set and selector.takes(other)
        for run in other.runs
    ]
    found = []
    for run in point.runs:
        serving = [
            other
            for other in candidates
            if other.record.repeat == run.record.repeat
            and selector.serves(other, run.record.values)
        ]
        if serving:
            found.append((max(serving, key=_said), run))
    return found


def _said(run: Measured) -> int:
    return sum(value is not None for value in run.record.values.values())


def metric_named(tag: str) -> Metric:
    if tag not in METRICS:
        raise UserError("metric", tag, "unknown", METRICS)
    return METRICS[tag]


def declared_primary(records: Sequence[RunRecord]) -> str | None:
    """The figure that the runs' configurations name, if they agree on one."""
    named = {(record.config.get("sweep") or {}).get("primary") for record in records}
    return named.pop() if len(named) == 1 else None


class Primary:
    """Which figure decides; in each task set that of its highest priority, unless one is named."""

    def __init__(self, asked: str | None, points: list[Point]) -> None:
        tag, _, self._scope = (asked or PRIMARY).partition("/")
        self.metric = metric_named(tag)
        if self.metric.of_all:
            self._scope = "system"
        self._found = {point.task_set: self._find(points, point.task_set) for point in points}
        if not any(self._found.values()):
            raise UserError("primary", asked, "no run has that figure", self._names(points))

    def _find(self, points: list[Point], task_set: str) -> Scope | None:
        for point in points:
            for scope in point.runs[0].scopes() if point.task_set == task_set else ():
                if self._scope in ("", scope.key) and point.runs[0].figure(self.metric, scope):
                    return scope
        return None

    def scope(self, task_set: str) -> Scope | None:
        return self._found[task_set]

    def _names(self, points: list[Point]) -> list[str]:
        runs = [point.runs[0] for point in points]
        scopes = dict.fromkeys(
            scope for run in runs for scope in run.scopes() if run.figure(self.metric, scope)
        )
        return [name_of(self.metric, scope) for scope in scopes]


def name_of(metric: Metric, scope: Scope) -> str:
    return metric.tag if metric.of_all else f"{metric.tag}/{scope.key}"
