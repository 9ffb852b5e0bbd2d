"""What is compared with what: which run of the baseline belongs to which run of another point, and
which figure decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement, Scope
from runner.metrics.names import deciding, name_of
from runner.metrics.registry import About, Metric
from runner.results.points import Point
from runner.runs.run import Run

BASELINE = Arm.native
#: The figure that decides where none is named, and where a run has too few requests for that: p99
#: of 200 is their third largest, and of 60 the largest, which one stall decides.
PRIMARY, PRIMARY_OF_FEW = "p99_ms", "p90_ms"
ENOUGH_FOR_P99 = 200


# --- the baseline --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Selector:
    """The baseline: an arm, and the values that it is fixed at."""

    arm: str
    fixed: dict[str, str]

    @property
    def name(self) -> str:
        return ",".join([self.arm, *(f"{key}={value}" for key, value in self.fixed.items())])

    def takes(self, point: Point) -> bool:
        fixed = self.fixed.items()
        return point.arm == self.arm and all(point.values.get(k) == v for k, v in fixed)

    def serves(self, run: Run, treatment: Run) -> bool:
        """Whether the run is the other side of a treatment: it has the same values, but for those
        that the baseline is fixed at or does not depend on."""
        return all(
            key in self.fixed or run.values.get(key) in (None, value)
            for key, value in treatment.values.items()
        )


def selector_of(points: Sequence[Point], wanted: str | None) -> Selector:
    """The baseline that is asked for; else native, else the first arm, else the first point."""
    arms = list(dict.fromkeys(point.arm for point in points))
    if wanted is None:
        if len(arms) == 1 and len(points) > 1:
            return Selector(arms[0], {k: v for k, v in points[0].values.items() if v is not None})
        return Selector(BASELINE if BASELINE in arms else arms[0], {})
    arm, *fixed = wanted.split(",")
    if not all("=" in text for text in fixed):
        raise UserError("baseline", wanted, "not understood", "arm or arm,key=value")
    selector = Selector(arm, dict(text.split("=", 1) for text in fixed))
    if not any(selector.takes(point) for point in points):
        allowed = [point.selector for point in points if point.arm == arm] or arms
        raise UserError("baseline", wanted, "no run of it has a result", allowed)
    return selector


def pairs(point: Point, points: Sequence[Point], selector: Selector) -> list[tuple[Run, Run]]:
    """(baseline, treatment) of every repeat that has both, on one device and at one load; the
    baseline that says most about the swept values goes before one that serves them all."""
    paired = []
    for run in point.runs:
        found = _candidates(run, point, points, selector)
        serving = [each for each in found if not apart(each, run)]
        if serving:
            said = [sum(value is not None for value in b.values.values()) for b in serving]
            paired.append((serving[said.index(max(said))], run))
    return paired


def no_pair(point: Point, points: Sequence[Point], selector: Selector) -> list[tuple[Run, str]]:
    """Runs of the point whose repeat has a baseline, and none that they are to be compared with;
    and why."""
    lost = []
    for run in point.runs:
        reasons = [apart(each, run) for each in _candidates(run, point, points, selector)]
        if reasons and all(reasons):
            lost.append((run, reasons[0]))
    return lost


def _candidates(run: Run, point: Point, points: Sequence[Point], selector: Selector) -> list[Run]:
    baselines = [p for p in points if p.task_set == point.task_set and selector.takes(p)]
    found = [each for baseline in baselines for each in baseline.runs]
    return [each for each in found if each.repeat == run.repeat and selector.serves(each, run)]


def apart(one: Run, other: Run) -> str:
    """Why two runs of a repeat are no pair, "" if they are: two devices of one kind differ, and so
    do loads that follow from two solo times of one model. Older runs do not tell."""
    here, there = one.summary.where, other.summary.where
    if here is None or there is None:
        return ""
    if here.place != there.place:
        return f"it ran on {there}, and {one.name} on {here}"
    for name, task in one.summary.tasks.items():
        beside = other.summary.tasks.get(name)
        if beside and beside.solo_ms != task.solo_ms and _solo_counts(one, other, name):
            return f"its load follows from another solo time than that of {one.name}"
    return ""


def _solo_counts(one: Run, other: Run, task: str) -> bool:
    """Whether the rates of a task's arrivals follow from the solo time of the same model in both
    runs. Two models are compared at one relative load, each by its own."""
    keys = ("model.", f"task_set.tasks.{task}.model.")
    model, beside = (
        {key: value for key, value in run.parameters.items() if key.startswith(keys)}
        for run in (one, other)
    )
    return model == beside and all(_goes_by_load(run, task) for run in (one, other))


def _goes_by_load(run: Run, task: str) -> bool:
    """As `runner.config.resolve` has it: a task's own load goes before a rate of all tasks. What
    is not recorded may be one."""
    of_all, own = (
        {key: run.parameters.get(f"{place}.{key}") for key in ("process", "load", "rate_rps")}
        for place in ("arrival", f"task_set.tasks.{task}.arrival")
    )
    if (own["process"] or of_all["process"]) in ("closed", "trace"):
        return False
    return own["load"] is not None or (own["rate_rps"] is None and of_all["rate_rps"] is None)


# --- the figure that decides ---------------------------------------------------------------------


@dataclass(frozen=True)
class Primary:
    """The figure that decides; in each task set that of its highest priority, unless one is named.
    scopes: by task set."""

    metric: Metric
    scopes: dict[str, Scope]

    def of(self, task_set: str) -> tuple[Metric, Scope] | None:
        scope = self.scopes.get(task_set)
        return (self.metric, scope) if scope else None


def primary_of(points: Sequence[Point], wanted: str | None) -> Primary:
    """Raises `UserError` for a figure that no run has."""
    figure = deciding(wanted or default_primary(points), "primary")
    metric = figure.metric
    scopes: dict[str, Scope] = {}
    runs = [(point.task_set, run.measured) for point in points for run in point.runs]
    for task_set, measured in runs:
        if task_set in scopes:
            continue
        scope = figure.scope_of(measured)
        if scope and metric.of(measured, scope):
            scopes[task_set] = scope
    if not scopes:
        there = [
            (name_of(metric, scope), metric.of(measured, scope))
            for _, measured in runs
            for scope in measured.scopes()
            if scope.of_all == metric.of_all
        ]
        known = dict.fromkeys(name for name, figure_there in there if figure_there)
        raise UserError("primary", wanted, "no run has that figure", known)
    return Primary(metric, scopes)


def default_primary(points: Sequence[Point]) -> str:
    """A tail of the highest priority's requests that every run has enough of."""
    measured = [run.measured for point in points for run in point.runs]
    counts = [
        sum(len(m.tasks[name].response_ms) for name in m.priority(m.priorities[0]).tasks)
        for m in measured
        if m.tasks
    ]
    return PRIMARY if min(counts, default=0) >= ENOUGH_FOR_P99 else PRIMARY_OF_FEW


def declared_primary(runs: Sequence[Run]) -> str | None:
    """The figure that the runs' configurations name, if they agree on one. A run that failed before
    it had a configuration names none."""
    named = {run.parameters.get("sweep.primary") for run in runs if run.parameters}
    return named.pop() if len(named) == 1 else None


def both_figures(
    baseline: Run, treatment: Run, metric: Metric, scope: Scope
) -> tuple[Estimate | None, Estimate | None]:
    """The figure of both runs of a pair. What is made of requests is made of equal numbers of each
    task's: the tail of more requests lies further out."""
    sides = (baseline.measured, treatment.measured)
    if metric.about is About.REQUESTS and all(scope in side.scopes() for side in sides):
        counts = {
            name: min(len(side.tasks[name].response_ms) for side in sides) for name in scope.tasks
        }
        sides = (sides[0].thinned(counts), sides[1].thinned(counts))
    return _figure_of(sides[0], metric, scope), _figure_of(sides[1], metric, scope)


def figure_of(run: Run, metric: Metric, scope: Scope) -> Estimate | None:
    """Of a run that may not have the scope, or no value."""
    return _figure_of(run.measured, metric, scope)


def _figure_of(measured: Measurement, metric: Metric, scope: Scope) -> Estimate | None:
    if scope not in measured.scopes() or metric.of_all != scope.of_all:
        return None
    figure = metric.of(measured, scope)
    return None if figure is None or math.isnan(figure.value) else figure


def sm_clock_mhz(run: Run) -> float | None:
    """The median over the run; None on a CPU and where the GPU did not tell."""
    telemetry = run.summary.device.telemetry
    clock = telemetry.sm_clock_mhz if telemetry else None
    return clock.median or None if clock else None
