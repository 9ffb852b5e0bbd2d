import math

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from runner.metrics import intervals
from runner.metrics.intervals import Estimate, Interval, quantile_ranks, significant


def test_an_end_without_data_is_shown_in_words() -> None:
    assert str(Interval(1.234, 5.678)) == "[1.23, 5.68]"
    assert str(Interval(24.9, math.inf)) == "[24.9, > max]"
    assert str(Interval(-math.inf, 2.0)) == "[< min, 2.00]"
    assert 2 in Interval(1, math.inf)
    assert 0.5 not in Interval(1, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "0.0123"), (1.0, "1.00"), (123.4, "123"), (98765.4, "98765"), (0, "0")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    assert significant(value) == shown


def test_ranks_of_the_p99_of_a_thousand() -> None:
    assert quantile_ranks(1000, 0.99) == (983, 997)


def test_p99_has_an_upper_end_from_368_requests() -> None:
    assert quantile_ranks(367, 0.99)[1] is None
    assert quantile_ranks(368, 0.99)[1] == 368


def test_the_median_of_five_has_no_interval_and_of_six_has() -> None:
    assert quantile_ranks(5, 0.5) == (None, None)
    assert quantile_ranks(6, 0.5) == (1, 6)


def test_ranks_of_a_low_quantile_mirror_those_of_a_high_one() -> None:
    low, high = quantile_ranks(1000, 0.01)
    assert (low, high) == (1001 - 997, 1001 - 983)


def test_correlated_requests_widen_the_ranks() -> None:
    low, high = quantile_ranks(1000, 0.9, time=4.0)
    assert low is not None
    assert high is not None
    assert quantile_ranks(1000, 0.9) == (881, 919)
    # Twice as wide, as the effective sample size is a quarter.
    assert high - low == pytest.approx(2 * (919 - 881), rel=0.1)


def test_a_quantile_is_a_measured_value() -> None:
    values = np.arange(1.0, 1001.0)
    np.random.default_rng(1).shuffle(values)
    found = [intervals.quantile(values, share).value for share in (0.5, 0.9, 0.95, 0.99, 0.999)]
    assert found == [500, 900, 950, 990, 999]
    assert intervals.quantile(np.array([3.0]), 0.99).value == 3.0


def test_a_product_just_above_a_whole_number_is_that_number() -> None:
    assert 100 * 0.07 > 7
    assert intervals.quantile(np.arange(1.0, 101.0), 0.07).value == 7


def test_what_could_come_is_at_least_the_maximum() -> None:
    found = intervals.maximum(np.array([3.0, 9.0, 4.0]))
    assert (found.value, found.interval) == (9, Interval(9, math.inf))


def test_correlation_time_of_an_autoregression() -> None:
    """(1 + φ) / (1 - φ) in theory."""
    rng = np.random.default_rng(2)
    series = autoregression(rng, 0.5, 1, 100_000)[0]
    assert intervals.correlation_time(series) == pytest.approx(3, rel=0.1)
    assert intervals.correlation_time(rng.standard_normal(100_000)) == pytest.approx(1, abs=0.05)


def test_correlation_time_is_never_below_one() -> None:
    assert intervals.correlation_time(np.tile([1.0, 2.0], 50)) == 1
    assert intervals.correlation_time(np.full(100, 0.1)) == 1
    assert intervals.correlation_time(np.array([1.0])) == 1


def test_correlation_time_of_a_long_series_is_that_of_its_groups() -> None:
    rng = np.random.default_rng(8)
    drawn = rng.standard_normal(8 * intervals.LONGEST + 3)
    series = np.empty_like(drawn)
    value = 0.0
    for at, shock in enumerate(drawn):
        series[at] = value = 0.9 * value + shock
    assert intervals.correlation_time(series) == pytest.approx(19, rel=0.1)
    assert intervals.correlation_time(drawn) == pytest.approx(1, abs=0.05)
    assert intervals.correlation_time(np.tile([1.0, 2.0], intervals.LONGEST)) == 1


def test_correlation_time_leaves_two_effective_requests() -> None:
    assert intervals.correlation_time(np.arange(100.0)) <= 50


def test_the_mean_of_independent_values_has_a_t_interval() -> None:
    values = np.array([1.0, 2.0, 1.0, 2.0])
    found = intervals.mean(values)
    half = 3.18245 * values.std(ddof=1) / 2
    assert found.value == 1.5
    assert found.interval is not None
    assert found.interval.high == pytest.approx(1.5 + half, rel=1e-5)
    assert intervals.mean(np.array([4.0])).interval is None


def test_equal_values_have_an_interval_without_length() -> None:
    assert intervals.mean(np.full(10, 0.1)).interval == Interval(0.1, 0.1)


def test_a_proportion_by_clopper_and_pearson() -> None:
    hits = np.array([1, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    found = intervals.proportion(hits)
    assert found.value == 0.9
    assert found.step == 0.1
    exact = stats.binomtest(9, 10).proportion_ci()
    assert ends(found) == pytest.approx((exact.low, exact.high))
    certain = stats.binomtest(20, 20).proportion_ci()
    assert ends(intervals.proportion(np.ones(20))) == pytest.approx((certain.low, 1))


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.interval is not None
    return estimate.interval.low, estimate.interval.high


def autoregression(
    rng: np.random.Generator, phi: float, draws: int, count: int
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """x(t) = φ x(t-1) + e(t) with variance 1, one series a row."""
    noise = rng.standard_normal((draws, count)) * math.sqrt(1 - phi**2)
    series = np.empty((draws, count))
    series[:, 0] = rng.standard_normal(draws)
    for at in range(1, count):
        series[:, at] = phi * series[:, at - 1] + noise[:, at]
    return series
