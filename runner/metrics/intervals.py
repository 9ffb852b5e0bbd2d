"""Estimates within one run and the interval that belongs to each; methods: docs/statistics.md.

Requests of one run follow each other and resemble their neighbours, so `n` of them say less than
`n` independent ones. Everything here therefore takes its values in the order of time and works with
the effective sample size, ``n / correlation_time``. What repeats say: `runner.metrics.paired`.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# scipy.special is loaded when it is first asked, which takes a quarter of a second; scipy.stats,
# which stands on these functions, would take a second. It ships no types.
import scipy  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import ArrayLike, NDArray

from runner.metrics.percentiles import rank

Values = NDArray[np.float64]

LEVEL = 0.95
#: A tail's correlation time is taken from a tail of this many times its share, too.
WIDER_TAIL = 2
#: Values whose correlation is summed lag by lag; more are taken in groups.
LONGEST = 1 << 15


@dataclass(frozen=True)
class Interval:
    """An interval that holds the true value with probability `level`. An end that the data cannot
    give is infinite and shown as "> max" or "< min"."""

    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        low = "< min" if self.low == -math.inf else significant(self.low)
        high = "> max" if self.high == math.inf else significant(self.high)
        return f"[{low}, {high}]"


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval, None where there is no telling. step: the smallest change that the
    figure can show, for one that counts requests; 0 for one that is continuous. is_maximum: whether
    a quantile is the largest value that there is, for want of requests."""

    value: float
    interval: Interval | None = None
    step: float = 0.0
    is_maximum: bool = False


def significant(value: float) -> str:
    """A number with three significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def correlation_time(series: ArrayLike) -> float:
    """How many successive values are worth one independent value, at least 1: the integrated
    autocorrelation time ``1 + 2 Σ ρ(k)``, cut off where the sums of neighbouring pairs of ρ reach
    zero and made monotone until there (Geyer 1992), and divided by what the estimated mean takes
    away from as many lags. Of more than `LONGEST` values it is the time of the means of groups, by
    how much more they scatter than those of independent values would."""
    values = np.asarray(series, dtype=np.float64)
    count = len(values)
    if np.ptp(values) == 0:
        return 1.0
    if count > LONGEST:
        group = math.ceil(count / LONGEST)
        means = values[: count - count % group].reshape(-1, group).mean(axis=1)
        return max(1.0, group * float(means.var() / values.var()) * correlation_time(means))
    rho = _autocorrelation(values)
    pairs = rho[0 : count - 1 : 2] + rho[1:count:2]
    ended = np.flatnonzero(pairs <= 0)
    kept = pairs[: ended[0] if len(ended) else None]
    if not len(kept):
        return 1.0
    time = 2 * float(np.minimum.accumulate(kept).sum()) - 1
    lost = min(2 * len(kept) / count, 0.5)
    return min(max(1.0, time / (1 - lost)), max(1.0, count / 2))


def _autocorrelation(values: Values) -> Values:
    """ρ(0), ρ(1) … of values that are not all equal."""
    spectrum = np.abs(np.fft.rfft(values - values.mean(), 2 * len(values))) ** 2
    covariance = np.fft.irfft(spectrum, 2 * len(values))[: len(values)]
    return np.asarray(covariance / covariance[0], dtype=np.float64)


def _quantile_correlation_time(values: Values, ordered: Values, share: float) -> float:
    """`correlation_time` of "exceeds the quantile or not", which is what the number of exceeding
    requests scatters by. In a tail few requests exceed, so it is estimated at twice the tail's
    share as well, and the longer time counts. ordered: the values by size."""
    wider = WIDER_TAIL * min(share, 1 - share)
    shares = [share] if wider > 0.5 else [share, wider if share < 0.5 else 1 - wider]
    return max(correlation_time(values > ordered[rank(len(values), s) - 1]) for s in shares)


def quantile_ranks(count: int, share: float, time: float = 1.0) -> tuple[int | None, int | None]:
    """Ranks, from 1, of the ordered values that enclose the quantile; None where there is none.

    The number of values above the quantile is binomial, so each end is the innermost rank that
    misses with at most half of ``1 - LEVEL``. With a correlation `time` above 1, values exceed in
    clusters of that size: the binomial distribution is that of ``count / time`` clusters."""
    miss = (1 - LEVEL) / 2
    size = count / time

    def at_most(above: int) -> float:
        clusters = above / time
        if clusters >= size:
            return 1.0
        return float(scipy.special.betainc(size - clusters, clusters + 1, share))

    def at_least(above: int) -> float:
        clusters = above / time
        if not above:
            return 1.0
        return float(scipy.special.betainc(clusters, size - clusters + 1, 1 - share))

    above_high = bisect_right(range(count + 1), miss, key=at_most) - 1
    above_low = bisect_left(range(count + 1), -miss, key=lambda above: -at_least(above))
    low = count - above_low + 1
    return low if low >= 1 else None, count - above_high if above_high >= 0 else None


def quantile(values: ArrayLike, share: float) -> Estimate:
    """A measured quantile and its order-statistic interval; values in the order of time."""
    series = np.asarray(values, dtype=np.float64)
    ordered = np.sort(series)
    time = _quantile_correlation_time(series, ordered, share)
    low, high = quantile_ranks(len(series), share, time)
    interval = Interval(
        -math.inf if low is None else float(ordered[low - 1]),
        math.inf if high is None else float(ordered[high - 1]),
    )
    at = rank(len(series), share)
    return Estimate(float(ordered[at - 1]), interval, is_maximum=at == len(series))


def maximum(values: ArrayLike) -> Estimate:
    """The largest value seen; what could come is at least that, and nothing says how much more."""
    largest = float(np.max(values))
    return Estimate(largest, Interval(largest, math.inf))


def mean(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Mean and its t-interval with the effective sample size; values in the order of time."""
    series = np.asarray(values, dtype=np.float64)
    centre = float(series.mean())
    if len(series) < 2:
        return Estimate(centre)
    freedom = max(len(series) / correlation_time(series) - 1, 1.0)
    error = float(series.std()) / math.sqrt(freedom)
    return Estimate(centre, t_interval(centre, error, freedom, level=level))


def proportion(hits: ArrayLike) -> Estimate:
    """Share of true values, its interval with the effective sample size; values in the order of
    time."""
    series = np.asarray(hits, dtype=np.float64)
    share, size = float(series.mean()), len(series) / correlation_time(series)
    return Estimate(share, exact_share(size * share, size), step=1 / len(series))


def exact_share(hits: float, count: float) -> Interval:
    """Of so many hits among so many independent trials: that of Clopper and Pearson (1934)."""
    miss, missed = (1 - LEVEL) / 2, count - hits
    low = float(scipy.special.betaincinv(hits, missed + 1, miss)) if hits else 0.0
    high = float(scipy.special.betaincinv(hits + 1, missed, 1 - miss)) if missed else 1.0
    return Interval(low, high)


def t_interval(
    centre: float,
    error: float,
    freedom: float,
    back: Callable[[float], float] = float,
    level: float = LEVEL,
) -> Interval:
    """Of a mean with a standard error and its degrees of freedom; back: from the scale that it was
    taken on."""
    half = float(scipy.special.stdtrit(freedom, (1 + level) / 2)) * error
    return Interval(back(centre - half), back(centre + half), level)
