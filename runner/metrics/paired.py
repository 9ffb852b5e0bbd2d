"""What repeats say: one value a run, and runs are independent of each other. Methods and sources:
docs/statistics.md.

A ratio is that of a repeat which nothing held up: the median of the ratios that repeats could have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import scipy  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import ArrayLike

from runner.metrics.intervals import LEVEL, Estimate, Interval, Values, t_interval

#: Fewer repeats have too few signs to flip: of five, one in sixteen is as extreme as can be.
MIN_FLIPS = 6
#: Repeats whose signs are flipped in every way; of more, so many ways are drawn.
MOST_FLIPS, DRAWN = 16, 1 << 16
#: A treatment that changes its figure by less than this does nothing worth a name.
MARGIN = 0.1
#: Standard deviation of the difference of two values that are each rounded to a step of 1.
ROUNDING = 1 / math.sqrt(6)


@dataclass(frozen=True)
class Paired:
    """Treatment against baseline over repeats: `effect` is the ratio of geometric means or the mean
    difference. p: two-sided probability of one at least as large by chance, by the t-test. p_flips:
    the same by flipping signs, which assumes no normal distribution; None with fewer than six
    repeats. is_small: whether it is shown that the effect is within `MARGIN`."""

    effect: float
    interval: Interval
    p: float
    p_flips: float | None
    is_small: bool


def over_repeats(values: ArrayLike, by_ratio: bool = True) -> Estimate:
    """One value a repeat: geometric mean and t-interval on the logarithms or, without `by_ratio`
    or where a value is not positive, mean and t-interval. One repeat has no interval."""
    series = np.asarray(values, dtype=np.float64)
    logarithmic = by_ratio and bool((series > 0).all())
    series, back = (np.log(series), math.exp) if logarithmic else (series, float)
    centre = float(series.mean())
    if len(series) < 2:
        return Estimate(back(centre))
    error = float(series.std(ddof=1)) / math.sqrt(len(series))
    return Estimate(back(centre), t_interval(centre, error, len(series) - 1, back))


def effect(baseline: ArrayLike, treatment: ArrayLike, by_ratio: bool) -> float:
    """Ratio of geometric means, or mean difference; nan where a ratio needs positive values."""
    changes = _changes(baseline, treatment, by_ratio)
    return math.exp(changes.mean()) if by_ratio else float(changes.mean())


def _changes(baseline: ArrayLike, treatment: ArrayLike, by_ratio: bool) -> Values:
    """One change a repeat: the log ratio or the difference."""
    before = np.asarray(baseline, dtype=np.float64)
    after = np.asarray(treatment, dtype=np.float64)
    if not by_ratio:
        return after - before
    if (before <= 0).any() or (after <= 0).any():
        return np.full(len(before), math.nan)
    return np.log(after / before)


def paired(
    baseline: ArrayLike, treatment: ArrayLike, by_ratio: bool = True, step: float = 0.0
) -> Paired:
    """Paired t-interval and t-test; entry i of both comes from repeat i, two repeats or more.
    Values without any scatter leave no doubt.

    step: how coarse the values are. Where they count requests, three repeats may well agree to the
    request; the scatter is then taken for no less than that of rounding."""
    changes = _changes(baseline, treatment, by_ratio)
    count = len(changes)
    centre = float(changes.mean())
    error = max(float(changes.std(ddof=1)), ROUNDING * step) / math.sqrt(count)
    back = math.exp if by_ratio else float
    p = 2 * float(scipy.special.stdtr(count - 1, -abs(centre) / error)) if error else not centre
    return Paired(
        back(centre),
        t_interval(centre, error, count - 1, back),
        float(p),
        sign_flips(changes) if count >= MIN_FLIPS else None,
        _is_small(centre, error, count - 1, _margin(baseline, by_ratio)),
    )


def _margin(baseline: ArrayLike, by_ratio: bool) -> float:
    """`MARGIN` as a change: of a difference, relative to the baseline."""
    return (
        math.log1p(MARGIN)
        if by_ratio
        else MARGIN * abs(float(np.asarray(baseline, dtype=np.float64).mean()))
    )


def _is_small(centre: float, error: float, freedom: int, margin: float) -> bool:
    """Two one-sided tests (Schuirmann 1987): that it is not below, and not above the margin."""
    return abs(centre) + float(scipy.special.stdtrit(freedom, LEVEL)) * error < margin


def sign_flips(changes: ArrayLike) -> float:
    """Two-sided p of a mean change, exact whatever the distribution: without an effect each repeat
    could as well have come out the other way round (Fisher 1935). So it is the share of all ways to
    flip the signs that give a mean at least as far from zero; of very many, of some drawn at
    random, always the same."""
    values = np.asarray(changes, dtype=np.float64)
    sums = np.abs(_signs(len(values)) @ values)
    return float((sums >= sums[0] * (1 - 1e-12)).mean())


@cache
def _signs(count: int) -> Values:
    """Ways to choose so many signs, one a row, the first of them without a flip."""
    if count <= MOST_FLIPS:
        return np.array([*product((1.0, -1.0), repeat=count)])
    drawn = np.random.default_rng(0).choice((1.0, -1.0), (DRAWN, count))
    return np.concatenate([np.ones((1, count)), drawn])


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that all of them together err with the probability that one would
    (Holm 1979); in the order given."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return [float(p) for p in corrected]
