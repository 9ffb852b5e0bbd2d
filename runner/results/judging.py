"""One figure of two arms over their repeats, and what may be said of it: docs/statistics.md."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from runner.metrics.intervals import LEVEL, Estimate
from runner.metrics.measurement import Scope
from runner.metrics.paired import Paired, effect, holm, paired
from runner.metrics.registry import Metric
from runner.results.pairs import both_figures
from runner.runs.repeats import MIN_REPEATS
from runner.runs.run import Run

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference shown"
#: Of a figure of which neither is better.
HIGHER, LOWER = "higher", "lower"
#: The power of the pace's ratio that times are divided by: about that with which those of equal
#: runs go (docs/validation.md). All of it would add the scatter of the pace itself. Where arms do
#: not touch the pace, any power leaves the ratio theirs; where they do, less of it costs less.
PACE_PART = 0.5
TOO_FEW = f"no verdict (repeats < {MIN_REPEATS})"
NO_RATIO = "no verdict (a value is zero)"


class Beside(StrEnum):
    """What a treatment does beside the null control, by the figure that decides: it differs, it is
    shown to differ by less than is worth a name, or neither is shown."""

    EFFECTIVE = "effective"
    INEFFECTIVE = "ineffective"
    UNDECIDED = "undecided"


@dataclass(frozen=True, eq=False)
class Contrast:
    """One figure on both sides, over the repeats that have it on both. paces: of each repeat, see
    `pace_of`; empty where that is not known of all, or the figure does not go with it."""

    metric: Metric
    scope: Scope
    primary: bool
    baseline: Sequence[Estimate]
    treatment: Sequence[Estimate]
    paces: Sequence[float] = ()

    @cached_property
    def effect(self) -> float | None:
        """At equal pace; None for a ratio of values that are not positive."""
        found = effect(*self._sides(), self.metric.by_ratio)
        return None if math.isnan(found) else found

    @cached_property
    def result(self) -> Paired | None:
        """At equal pace; None if there is no telling."""
        return self._judged(*self._sides())

    @cached_property
    def as_measured(self) -> Paired | None:
        """Whatever the pace; None if that is the same."""
        return self._judged(*self._sides(at_equal_pace=False)) if self.paces else None

    def _judged(self, baseline: list[float], treatment: list[float]) -> Paired | None:
        if len(self.baseline) < MIN_REPEATS or self.effect is None:
            return None
        step = max(figure.step for figure in (*self.baseline, *self.treatment))
        return paired(baseline, treatment, self.metric.by_ratio, step)

    def _sides(self, at_equal_pace: bool = True) -> tuple[list[float], list[float]]:
        before, after = ([each.value for each in side] for side in (self.baseline, self.treatment))
        if at_equal_pace and self.paces:
            after = [value / pace for value, pace in zip(after, self.paces, strict=True)]
        return before, after

    def verdict(self, p: float | None) -> str:
        """p: corrected for all that is judged beside this. Flipped signs have to agree, where there
        are repeats enough: they tell a difference that rests on one repeat."""
        if len(self.baseline) < MIN_REPEATS:
            return TOO_FEW
        if p is None or self.effect is None or self.result is None:
            return NO_RATIO
        if max(p, self.result.p_flips or 0.0) >= 1 - LEVEL:
            return NO_DIFFERENCE
        higher = self.effect > (1.0 if self.metric.by_ratio else 0.0)
        if self.metric.higher_is_better is None:
            return HIGHER if higher else LOWER
        return BETTER if higher == self.metric.higher_is_better else WORSE

    @property
    def beside(self) -> Beside | None:
        """Of a contrast to the null control."""
        if self.result is None:
            return None
        if self.result.is_small:
            return Beside.INEFFECTIVE
        differs = self.verdict(self.result.p) != NO_DIFFERENCE
        return Beside.EFFECTIVE if differs else Beside.UNDECIDED


def contrasts_of(
    paired_runs: Sequence[tuple[Run, Run]],
    decides: tuple[Metric, Scope] | None,
    secondary: Sequence[Metric],
) -> list[Contrast]:
    """All figures that both sides have, the one that decides first. A priority that has a single
    task is the same test as the task, and is made once."""
    paces = [pace_of(*pair) for pair in paired_runs]
    scopes = list(dict.fromkeys(s for _, run in paired_runs for s in run.measured.scopes()))
    wanted = [(m, scope) for m in secondary for scope in scopes if m.of_all == scope.of_all]
    if decides:
        wanted.insert(0, decides)
    found: dict[tuple[str, tuple[str, ...]], Contrast] = {}
    for metric, scope in wanted:
        which = metric.tag, scope.tasks
        if which in found:
            continue
        figures = [both_figures(b, t, metric, scope) for b, t in paired_runs]
        both = [
            (b, t, pace)
            for (b, t), pace in zip(figures, paces, strict=True)
            if b is not None and t is not None
        ]
        if both:
            before, after, known = zip(*both, strict=True)
            primary = (metric, scope) == decides
            used = known if all(known) and metric.goes_with_pace else ()
            found[which] = Contrast(metric, scope, primary, before, after, used)
    return list(found.values())


def pace_of(baseline: Run, treatment: Run) -> float | None:
    """How much longer times are in the treatment because the device was slower, as fixed work on it
    tells; None where a run does not know, or ran its tasks alone: a core that others leave idle
    keeps more of the work in its caches."""
    if baseline.alone or treatment.alone:
        return None
    before, after = baseline.summary.pace_us, treatment.summary.pace_us
    return (after / before) ** PACE_PART if before and after else None


def corrected(contrasts: Sequence[Contrast]) -> dict[Contrast, float]:
    """p of each that has one. Those that decide share one chance of a false alarm, however
    many treatments there are, and all others together another."""
    found: dict[Contrast, float] = {}
    for primary in (True, False):
        family = [each for each in contrasts if each.primary is primary and each.result]
        found |= zip(family, holm([each.result.p for each in family if each.result]), strict=True)
    return found
