"""The points of a comparison, and which run of the baseline belongs to which run of another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Scope
from runner.metrics.names import figure_named, name_of
from runner.metrics.registry import Metric
from runner.runs.run import Run

BASELINE = Arm.native
PRIMARY = "p99_ms"

Values = Mapping[str, str | None]


@dataclass(frozen=True)
class Point:
    """One arm at one combination of swept values."""

    task_set: str
    arm: str
    values: tuple[tuple[str, str | None], ...]
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """``xsched``, or ``xsched,xsched.threshold=8`` as --baseline takes it."""
        fixed = [f"{key}={value}" for key, value in self.values if value is not None]
        return ",".join([self.arm, *fixed])


def points_of(runs: Sequence[Run]) -> list[Point]:
    grouped: dict[object, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.point, []).append(run)
    points = []
    for group in grouped.values():
        first = group[0]
        ordered = tuple(sorted(group, key=lambda run: run.repeat))
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

    def serves(self, run: Run, values: Values) -> bool:
        """Whether the run is the other side of a treatment at these values: the same ones, but for
        those that the baseline is fixed at or does not depend on."""
        own = run.values
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


def pairs(point: Point, points: list[Point], selector: Selector) -> list[tuple[Run, Run]]:
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
            if other.repeat == run.repeat and selector.serves(other, run.values)
        ]
        if serving:
            found.append((max(serving, key=_said), run))
    return found


def _said(run: Run) -> int:
    return sum(value is not None for value in run.values.values())


def declared_primary(runs: Sequence[Run]) -> str | None:
    """The figure that the runs' configurations name, if they agree on one."""
    named = {run.parameters.get("sweep.primary") for run in runs}
    return named.pop() if len(named) == 1 else None


class Primary:
    """Which figure decides; in each task set that of its highest priority, unless one is named."""

    def __init__(self, asked: str | None, points: list[Point]) -> None:
        self.figure = figure_named(asked or PRIMARY, "primary")
        self._found = {point.task_set: self._find(points, point.task_set) for point in points}
        if not any(self._found.values()):
            raise UserError("primary", asked, "no run has that figure", self._names(points))

    @property
    def metric(self) -> Metric:
        return self.figure.metric

    def _find(self, points: list[Point], task_set: str) -> Scope | None:
        for point in points:
            first = point.runs[0].measured
            scope = self.figure.scope_of(first) if point.task_set == task_set else None
            if scope and self.metric.of(first, scope):
                return scope
        return None

    def scope(self, task_set: str) -> Scope | None:
        return self._found[task_set]

    def _names(self, points: list[Point]) -> list[str]:
        measured = [point.runs[0].measured for point in points]
        scopes = dict.fromkeys(
            scope for each in measured for scope in each.scopes() if self.metric.of(each, scope)
        )
        return [name_of(self.metric, scope) for scope in scopes]


def figure_of(run: Run, metric: Metric, scope: Scope) -> Estimate | None:
    """Of a run that may not have the scope, or no value."""
    if scope not in run.measured.scopes() or metric.of_all != scope.of_all:
        return None
    found = metric.of(run.measured, scope)
    return None if found is None or math.isnan(found.value) else found


def sm_clock_mhz(run: Run) -> float | None:
    """The median over the run; None on a CPU and where the GPU did not tell."""
    telemetry = run.summary.device.telemetry
    clock = telemetry.sm_clock_mhz if telemetry else None
    return clock.median or None if clock else None
