"""Arms of a sweep against one of them: ratios with intervals, and verdicts that hold. Pure: records
in, rows out. How verdicts are made: docs/statistics.md."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics.intervals import Estimate, Interval
from runner.metrics.measurement import Scope
from runner.metrics.names import figure_named, name_of
from runner.metrics.paired import Paired
from runner.metrics.registry import Metric
from runner.results.judging import BETTER, Beside, contrasts_of, corrected
from runner.results.pairs import (
    Primary,
    Selector,
    declared_primary,
    figure_of,
    no_pair,
    pairs,
    primary_of,
    selector_of,
    sm_clock_mhz,
)
from runner.results.points import Point, combined, left_out, points_of
from runner.runs.provenance import device_name
from runner.runs.record import Where
from runner.runs.run import Run

#: By so much the SM clocks of two arms may differ; beyond it a ratio is one of clocks, too.
CLOCKS_APART = 0.02
#: Runs of one repeat that ended further apart were added later.
HOURS_APART = 1.0
NULL_CONTROL = Arm.xsched_null
SHOWN = ("p99_ms", "p50_ms", "throughput_rps", "stp", "antt", "share_error", "slo_attainment")
#: Nothing beside a task can make its requests faster than they are alone.
ALONE, FLOOR = Selector(Arm.solo, {}), "p50_ms"


@dataclass(frozen=True)
class Row:
    """One figure of one treatment against the baseline.

    figure: its name as --primary takes it. scope, tasks: what it is about; of a task that is alone
    in its priority it is the priority's figure, unless the task's was asked for. baseline_value,
    treatment_value: over the repeats that have both. ratio: treatment ÷ baseline at equal pace of
    the device, None for a metric that is compared by its difference. as_measured: that ratio with
    its interval whatever the pace, None where the pace is not known. interval: of the ratio or the
    difference; None with fewer than three repeats, as is p. p: of the t-test, Holm-corrected with
    all rows that decide, or with all others. p_flips: by flipped signs, not corrected; None with
    fewer than six repeats. beside_null: what the treatment does beside xsched_null, by the primary
    figure; None if there is no telling.
    clock_ratio: of the median SM clocks, treatment ÷ baseline, in the pair of runs in which they
    are furthest apart; None where no pair has them. places: where the workers of baseline and
    treatment lived ("threads", "processes, MPS"). hours_apart: between the ends of two runs of a
    pair, of the pair in which it is longest; None where nobody knows."""

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
    p_flips: float | None
    primary: bool
    verdict: str
    beside_null: Beside | None
    clock_ratio: float | None = None
    places: tuple[str, str] = ("", "")
    hours_apart: float | None = None
    as_measured: Estimate | None = None

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
    def far_apart(self) -> bool:
        """Whether its pairs are pairs in name only: what disturbs a repeat does not cancel out."""
        return self.hours_apart is not None and self.hours_apart > HOURS_APART

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
    """rows: by task set and treatment, the primary figure before the secondary ones. too_fast: arms
    in which requests take less time than alone, each row against the arm solo: something else than
    the scheduling was measured. left_out: runs that were not compared, and why. devices:
    those that pairs were measured on, one of each; [] where nobody recorded it."""

    baseline: str
    swept: list[str]
    arms: list[ArmRow]
    rows: list[Row]
    too_fast: list[Row]
    left_out: list[tuple[Run, str]]
    devices: list[Where]

    @property
    def primary(self) -> list[Row]:
        return [row for row in self.rows if row.primary]

    @property
    def ineffective(self) -> list[Row]:
        """Primary figures in which the treatment does what the null control does."""
        return [row for row in self.rows if row.beside_null is Beside.INEFFECTIVE]

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
    def far_apart(self) -> list[Row]:
        """The first row of each treatment that ran long before or after its baseline."""
        return [rows[0] for rows in self.by_treatment if rows[0].far_apart]

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
    declare (``sweep.primary``), else p99 of the highest priority, and p90 below 200 requests.
    metrics: tags of the secondary ones. invalid: take runs that are marked not valid or lack
    requests, too. Raises `UserError` if there is nothing to compare, runs are of task sets that
    nothing is compared in, or a name is unknown."""
    reasons = [(run, left_out(run, invalid)) for run in runs]
    points = points_of(run for run, reason in reasons if not reason)
    if not points:
        why = "\n  ".join(f"{run.name}: {reason}" for run, reason in reasons)
        raise UserError("", "", "no run has a result that can be compared", remedy=why)
    selector = selector_of(points, baseline)
    secondary = [figure_named(tag).metric for tag in metrics or SHOWN]
    deciding = primary_of(points, primary or declared_primary(runs))
    baselines = [point for point in points if selector.takes(point)]
    treatments = [point for point in points if not selector.takes(point)]
    sides = [
        _Side(p, pairs(p, points, selector), deciding.of(p.task_set), secondary) for p in treatments
    ]
    for side in sides:
        _check_kinds(side)
    rows = _rows(sides, selector.name, lambda point: _beside_null(point, points, deciding))
    if not treatments:
        problem = f"there is nothing to compare with the baseline {selector.name}"
        raise UserError("", "", problem, remedy="run another arm, or another value, beside it")
    lost = [each for point in treatments for each in no_pair(point, points, selector)]
    if not rows and lost:
        why = "\n  ".join(f"{run.name}: {reason}" for run, reason in lost)
        raise UserError("", "", f"nothing is a pair with {selector.name}", remedy=why)
    if not rows:
        problem = f"no run shares a repeat, its swept values and a task with {selector.name}"
        raise UserError("", "", problem, [point.selector for point in baselines])
    _check_task_sets(points, rows)
    return Comparison(
        selector.name,
        list(dict.fromkeys(key for point in points for key in point.values)),
        [row for point in (*baselines, *treatments) for row in _arm_rows(point, deciding)],
        rows,
        _too_fast(points),
        [(run, reason) for run, reason in reasons if reason] + lost,
        _devices(sides),
    )


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


@dataclass(frozen=True)
class _Side:
    """One point and its pairs with the baseline. decides: the figure that does, if it has it."""

    point: Point
    paired: list[tuple[Run, Run]]
    decides: tuple[Metric, Scope] | None
    secondary: Sequence[Metric]


def _rows(
    sides: Sequence[_Side], baseline: str, beside_null: Callable[[Point], Beside | None]
) -> list[Row]:
    """The figures of every treatment, judged all together."""
    contrasts = {
        side.point: contrasts_of(side.paired, side.decides, side.secondary) for side in sides
    }
    p_values = corrected([each for found in contrasts.values() for each in found])
    rows = []
    for side in sides:
        point, clock_ratio = side.point, _clock_ratio(side.paired)
        hours_apart = _hours_apart(side.paired)
        places = next(((b.summary.place, t.summary.place) for b, t in side.paired), ("", ""))
        for each in contrasts[point]:
            p, by_ratio = p_values.get(each), each.metric.by_ratio
            rows.append(
                Row(
                    task_set=point.task_set,
                    figure=name_of(each.metric, each.scope),
                    scope=each.scope.label,
                    tasks=each.scope.tasks,
                    metric=each.metric.tag,
                    unit=each.metric.unit,
                    values=dict(point.values),
                    baseline=baseline,
                    treatment=point.arm,
                    repeats=len(each.baseline),
                    baseline_value=combined(each.baseline, by_ratio),
                    treatment_value=combined(each.treatment, by_ratio),
                    ratio=each.effect if by_ratio else None,
                    difference=None if by_ratio else each.effect,
                    interval=each.result.interval if each.result else None,
                    p=p,
                    p_flips=each.result.p_flips if each.result else None,
                    primary=each.primary,
                    verdict=each.verdict(p),
                    beside_null=beside_null(point) if each.primary else None,
                    clock_ratio=clock_ratio,
                    places=places,
                    hours_apart=hours_apart,
                    as_measured=_estimate(each.as_measured),
                )
            )
    return rows


def _too_fast(points: Sequence[Point]) -> list[Row]:
    """Every other arm against the tasks alone."""
    metric = figure_named(FLOOR).metric
    sides = [
        _Side(point, pairs(point, points, ALONE), None, [metric])
        for point in points
        if not ALONE.takes(point)
    ]
    rows = _rows(sides, ALONE.name, lambda point: None)
    return [row for row in rows if row.verdict == BETTER]


def is_treatment(arm: str) -> bool:
    """Whether the arm is XSched at work, which a comparison is about if it is there."""
    known = Arm.known(arm)
    return known is not None and known.is_treatment


def _beside_null(point: Point, points: list[Point], deciding: Primary) -> Beside | None:
    """What XSched does beside XSched with equal hints, by the figure that decides; None for other
    arms and where there is no telling."""
    if not is_treatment(point.arm):
        return None
    paired = pairs(point, points, Selector(NULL_CONTROL, {}))
    contrasts = contrasts_of(paired, deciding.of(point.task_set), ())
    return contrasts[0].beside if contrasts else None


def _estimate(found: Paired | None) -> Estimate | None:
    return Estimate(found.effect, found.interval) if found else None


def _clock_ratio(paired: Sequence[tuple[Run, Run]]) -> float | None:
    """Of the pair that is furthest from 1: a mean would hide one pair behind the others."""
    clocks = [(sm_clock_mhz(baseline), sm_clock_mhz(treatment)) for baseline, treatment in paired]
    ratios = [treatment / baseline for baseline, treatment in clocks if treatment and baseline]
    return max(ratios, key=lambda ratio: abs(math.log(ratio)), default=None)


def _check_kinds(side: _Side) -> None:
    """Repeats of unlike devices are no sample of anything."""
    ran = [run for pair in side.paired for run in pair if run.summary.where]
    kinds = list(dict.fromkeys(device_name(run.provenance) for run in ran))
    if len(kinds) > 1:
        problem = f"repeats of unlike devices are not combined: {', '.join(kinds)}"
        remedy = "compare the sweeps of one kind; hydra.launcher.constraint keeps jobs to one"
        raise UserError("", "", problem, remedy=remedy)


def _devices(sides: Sequence[_Side]) -> list[Where]:
    measured = (run.summary.where for side in sides for _, run in side.paired)
    return list({where.place: where for where in measured if where}.values())


def _hours_apart(paired: Sequence[tuple[Run, Run]]) -> float | None:
    times = [(baseline.provenance, treatment.provenance) for baseline, treatment in paired]
    known = [(one, other) for one, other in times if one.is_known and other.is_known]
    apart = (
        datetime.fromisoformat(one.time) - datetime.fromisoformat(other.time)
        for one, other in known
    )
    return max((abs(each.total_seconds()) / 3600 for each in apart), default=None)
