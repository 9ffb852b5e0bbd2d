"""Arms of a sweep against one of them: ratios with intervals, and verdicts that hold. Pure: records
in, rows out. How verdicts are made: docs/statistics.md."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics import intervals
from runner.metrics.intervals import LEVEL, Estimate, Interval, Paired
from runner.metrics.measurement import Scope
from runner.metrics.names import figure_named, name_of
from runner.metrics.registry import Metric
from runner.results.pairs import (
    Primary,
    Selector,
    declared_primary,
    figure_of,
    pairs,
    primary_of,
    selector_of,
    sm_clock_mhz,
)
from runner.results.points import Point, combined, points_of
from runner.runs.repeats import MIN_REPEATS
from runner.runs.run import Run
from runner.trial.status import Status

#: By so much the SM clocks of two arms may differ; beyond it a ratio is one of clocks, too.
CLOCKS_APART = 0.02
NULL_CONTROL = Arm.xsched_null
SHOWN = ("p99_ms", "p50_ms", "throughput_rps", "stp", "antt", "share_error", "slo_attainment")

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference shown"
#: Of a figure of which neither is better.
HIGHER, LOWER = "higher", "lower"
TOO_FEW = f"no verdict (repeats < {MIN_REPEATS})"
NO_RATIO = "no verdict (a value is zero)"


@dataclass(frozen=True)
class Row:
    """One figure of one treatment against the baseline.

    figure: its name as --primary takes it. scope, tasks: what it is about; of a task that is alone
    in its priority it is the priority's figure, unless the task's was asked for. baseline_value,
    treatment_value: over the repeats that have both. ratio: treatment ÷ baseline, None for a metric
    that is compared by its difference. interval: of the one that is there; None with fewer than
    three repeats, as is p. p: Holm-corrected unless `primary`. ineffective: whether the treatment
    cannot be told from xsched_null, by the primary figure; None where there is no telling.
    clock_ratio: of the median SM clocks, treatment ÷ baseline, in the pair of runs in which they
    are furthest apart; None where no pair has them. places: where the workers of baseline and
    treatment lived ("threads", "processes, MPS")."""

    task_set: str
    figure: str
    scope: str
    tasks: tuple[str, ...]
    metric: str
    unit: str
    values: dict[str, str | None]
    baseline: str
    treatment: str
    repeats: int
    baseline_value: Estimate
    treatment_value: Estimate
    ratio: float | None
    difference: float | None
    interval: Interval | None
    p: float | None
    primary: bool
    verdict: str
    ineffective: bool | None
    clock_ratio: float | None = None
    places: tuple[str, str] = ("", "")

    @property
    def effect(self) -> float | None:
        """The ratio or the difference."""
        return self.difference if self.ratio is None else self.ratio

    @property
    def clocks_differ(self) -> bool | None:
        """By more than `CLOCKS_APART`; None where nobody knows."""
        if self.clock_ratio is None:
            return None
        return max(self.clock_ratio, 1 / self.clock_ratio) > 1 + CLOCKS_APART

    @property
    def placements_differ(self) -> bool:
        baseline, treatment = self.places
        return baseline != treatment

    @property
    def alike(self) -> bool:
        """Whether nothing is known to differ but the scheduling."""
        return not (self.clocks_differ or self.placements_differ)


@dataclass(frozen=True)
class ArmRow:
    """The primary figure of one arm at one point, over its repeats; of a single run, the interval
    is the one within it."""

    task_set: str
    figure: str
    scope: str
    metric: str
    unit: str
    arm: str
    values: dict[str, str | None]
    repeats: int
    value: Estimate


@dataclass(frozen=True)
class Comparison:
    """rows: by task set and treatment, the primary figure before the secondary ones. left_out: runs
    that were not compared, and why."""

    baseline: str
    swept: list[str]
    arms: list[ArmRow]
    rows: list[Row]
    left_out: list[tuple[Run, str]]

    @property
    def primary(self) -> list[Row]:
        return [row for row in self.rows if row.primary]

    @property
    def ineffective(self) -> list[Row]:
        """Primary figures in which the treatment cannot be told from the null control."""
        return [row for row in self.rows if row.ineffective]

    @property
    def by_treatment(self) -> list[list[Row]]:
        """The rows of each treatment at each point."""
        grouped = groupby(self.rows, lambda row: (row.task_set, row.treatment, row.values))
        return [list(rows) for _, rows in grouped]

    @property
    def unlike(self) -> list[Row]:
        """The first row of each treatment in which more differs than the scheduling."""
        return [rows[0] for rows in self.by_treatment if not rows[0].alike]

    @property
    def several_task_sets(self) -> bool:
        return len({row.task_set for row in self.rows}) > 1


# --- comparing -----------------------------------------------------------------------------------


def compare(
    runs: Sequence[Run],
    baseline: str | None = None,
    primary: str | None = None,
    metrics: Sequence[str] | None = None,
    invalid: bool = False,
) -> Comparison:
    """Every other point against the baseline, within each repeat.

    baseline: an arm, also ``arm,key=value``. primary: ``metric/scope``, by default what the runs
    declare (``sweep.primary``), else p99 of the highest priority. metrics: tags of the secondary
    ones. invalid: take runs that are marked not valid, too. Raises `UserError` if there is nothing
    to compare, runs are of task sets that nothing is compared in, or a name is unknown."""
    reasons = [(run, _left_out(run, invalid)) for run in runs]
    points = points_of(run for run, reason in reasons if not reason)
    if not points:
        why = "\n  ".join(f"{run.name}: {reason}" for run, reason in reasons)
        raise UserError("", "", "no run has a result that can be compared", remedy=why)
    selector = selector_of(points, baseline)
    secondary = [figure_named(tag).metric for tag in metrics or SHOWN]
    deciding = primary_of(points, primary or declared_primary(runs))
    baselines = [point for point in points if selector.takes(point)]
    treatments = [point for point in points if not selector.takes(point)]
    rows = [row for p in treatments for row in _rows(p, points, selector, deciding, secondary)]
    if not treatments:
        problem = f"there is nothing to compare with the baseline {selector.name}"
        raise UserError("", "", problem)
    if not rows:
        problem = f"no run shares a repeat, its swept values and a task with {selector.name}"
        raise UserError("", "", problem)
    _check_task_sets(points, rows)
    return Comparison(
        selector.name,
        list(dict.fromkeys(key for point in points for key in point.values)),
        [row for point in (*baselines, *treatments) for row in _arm_rows(point, deciding)],
        rows,
        [(run, reason) for run, reason in reasons if reason],
    )


def _left_out(run: Run, invalid: bool) -> str:
    """Why a run is not compared; "" if it is."""
    if run.status is not Status.FINISHED:
        return ": ".join(filter(None, [run.status, run.summary.reason]))
    if not run.summary.valid and not invalid:
        return next((note for note in run.summary.notes if "not valid" in note), "not valid")
    return ""


def _check_task_sets(points: list[Point], rows: list[Row]) -> None:
    """Runs of a task set of which nothing is compared were meant to be compared with another's,
    unless they are of a sweep over task sets that lost what they belong to."""
    compared = {row.task_set for row in rows}
    alone = [point for point in points if point.task_set not in compared]
    sweeps = {run.folder.parent for p in points if p.task_set in compared for run in p.runs}
    if any(run.folder.parent not in sweeps for point in alone for run in point.runs):
        names = ", ".join(f"{point.task_set} ({point.selector})" for point in alone)
        both = f"{names} beside {', '.join(sorted(compared))}"
        problem = f"runs of different task sets cannot be compared: {both}"
        raise UserError("", "", problem, remedy="compare the runs of one task set")


def _arm_rows(point: Point, deciding: Primary) -> list[ArmRow]:
    """One, or none where the point does not have the figure."""
    scope, metric = deciding.scopes.get(point.task_set), deciding.metric
    by_run = [figure_of(run, metric, scope) for run in point.runs] if scope else []
    figures = [figure for figure in by_run if figure is not None]
    if scope is None or not figures:
        return []
    return [
        ArmRow(
            task_set=point.task_set,
            figure=name_of(metric, scope),
            scope=scope.label,
            metric=metric.tag,
            unit=metric.unit,
            arm=point.arm,
            values=dict(point.values),
            repeats=len(figures),
            value=combined(figures, metric.by_ratio),
        )
    ]


def _rows(
    point: Point,
    points: list[Point],
    selector: Selector,
    deciding: Primary,
    secondary: Sequence[Metric],
) -> list[Row]:
    """The figures of one treatment; those that do not decide share one chance of a false alarm."""
    paired = pairs(point, points, selector)
    tests = _tests(point.task_set, paired, deciding, secondary)
    ineffective = _ineffective(point, points, deciding)
    clock_ratio = _clock_ratio(paired)
    places = next(((b.summary.place, t.summary.place) for b, t in paired), ("", ""))
    return [
        Row(
            task_set=point.task_set,
            figure=name_of(test.metric, test.scope),
            scope=test.scope.label,
            tasks=test.scope.tasks,
            metric=test.metric.tag,
            unit=test.metric.unit,
            values=dict(point.values),
            baseline=selector.name,
            treatment=point.arm,
            repeats=len(test.baseline),
            baseline_value=combined(test.baseline, test.metric.by_ratio),
            treatment_value=combined(test.treatment, test.metric.by_ratio),
            ratio=test.effect if test.metric.by_ratio else None,
            difference=None if test.metric.by_ratio else test.effect,
            interval=test.result.interval if test.result else None,
            p=p,
            primary=test.primary,
            verdict=_verdict(test, p),
            ineffective=ineffective if test.primary else None,
            clock_ratio=clock_ratio,
            places=places,
        )
        for test, p in zip(tests, _p_values(tests), strict=True)
    ]


def _clock_ratio(paired: Sequence[tuple[Run, Run]]) -> float | None:
    """Of the pair that is furthest from 1: a mean would hide one pair behind the others."""
    clocks = [(sm_clock_mhz(baseline), sm_clock_mhz(treatment)) for baseline, treatment in paired]
    ratios = [treatment / baseline for baseline, treatment in clocks if treatment and baseline]
    return max(ratios, key=lambda ratio: abs(math.log(ratio)), default=None)


# --- judging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Test:
    """One figure on both sides, over the repeats that have it on both."""

    metric: Metric
    scope: Scope
    primary: bool
    baseline: Sequence[Estimate]
    treatment: Sequence[Estimate]

    @cached_property
    def effect(self) -> float | None:
        """None for a ratio of values that are not positive."""
        effect = intervals.effect(*self._sides, self.metric.by_ratio)
        return None if math.isnan(effect) else effect

    @cached_property
    def result(self) -> Paired | None:
        """None if there is no telling."""
        if len(self.baseline) < MIN_REPEATS or self.effect is None:
            return None
        step = max(figure.step for figure in (*self.baseline, *self.treatment))
        return intervals.paired(*self._sides, self.metric.by_ratio, step)

    @property
    def _sides(self) -> tuple[list[float], list[float]]:
        return [figure.value for figure in self.baseline], [f.value for f in self.treatment]


def _tests(
    task_set: str,
    paired: Sequence[tuple[Run, Run]],
    deciding: Primary,
    secondary: Sequence[Metric],
) -> list[_Test]:
    """All figures that both sides have, the primary one first. A priority that has a single task is
    the same test as the task, and is made once."""
    scopes = list(dict.fromkeys(scope for _, run in paired for scope in run.measured.scopes()))
    wanted = [(m, scope) for m in secondary for scope in scopes if m.of_all == scope.of_all]
    if decides := deciding.scopes.get(task_set):
        wanted.insert(0, (deciding.metric, decides))
    tests: dict[tuple[str, tuple[str, ...]], _Test] = {}
    for metric, scope in wanted:
        which = metric.tag, scope.tasks
        if which in tests:
            continue
        figures = [(figure_of(b, metric, scope), figure_of(t, metric, scope)) for b, t in paired]
        both = [(b, t) for b, t in figures if b is not None and t is not None]
        if both:
            primary = (metric, scope) == (deciding.metric, decides)
            tests[which] = _Test(metric, scope, primary, *zip(*both, strict=True))
    return list(tests.values())


def _p_values(tests: Sequence[_Test]) -> list[float | None]:
    """The primary one as it is, the others Holm-corrected; None where there is no telling."""
    secondary = [test.result.p for test in tests if test.result and not test.primary]
    corrected = iter(intervals.holm(secondary))
    return [
        None if test.result is None else test.result.p if test.primary else next(corrected)
        for test in tests
    ]


def _verdict(test: _Test, p: float | None) -> str:
    if len(test.baseline) < MIN_REPEATS:
        return TOO_FEW
    if p is None or test.effect is None:
        return NO_RATIO
    if p >= 1 - LEVEL:
        return NO_DIFFERENCE
    higher = test.effect > (1.0 if test.metric.by_ratio else 0.0)
    if test.metric.higher_is_better is None:
        return HIGHER if higher else LOWER
    return BETTER if higher == test.metric.higher_is_better else WORSE


def is_treatment(arm: str) -> bool:
    """Whether the arm is XSched at work, which a comparison is about if it is there."""
    known = Arm.known(arm)
    return known is not None and known.is_treatment


def _ineffective(point: Point, points: list[Point], deciding: Primary) -> bool | None:
    """Whether XSched does no more than XSched with equal hints, by the figure that decides; None
    for other arms and where there is no telling."""
    if not is_treatment(point.arm):
        return None
    paired = pairs(point, points, Selector(NULL_CONTROL, {}))
    tests = _tests(point.task_set, paired, deciding, ())
    if not tests or tests[0].result is None:
        return None
    return _verdict(tests[0], tests[0].result.p) == NO_DIFFERENCE
