import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runner.metrics.intervals import quantile
from runner.metrics.percentiles import percentiles, rank


def test_a_percentile_is_a_measured_value() -> None:
    values = np.arange(100.0, 0.0, -1.0)
    assert percentiles(values, 50, 90, 99, 99.9, 100) == [50, 90, 99, 100, 100]
    assert percentiles([3.0], 1, 99) == [3.0, 3.0]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=300),
    st.sampled_from([50, 90, 95, 99, 99.9]),
)
def test_it_is_the_smallest_that_so_many_do_not_exceed(drawn: list[int], percent: float) -> None:
    (found,) = percentiles(drawn, percent)
    assert found in drawn
    assert sum(v <= found for v in drawn) >= percent / 100 * len(drawn) - 1e-9
    assert sum(v < found for v in drawn) < percent / 100 * len(drawn)
    assert quantile(drawn, percent / 100).value == found


def test_a_share_that_is_no_binary_fraction_does_not_move_a_rank() -> None:
    assert rank(100, 0.07) == 7
    assert [rank(1000 * n, 0.999) for n in (1, 7, 1000)] == [999, 6993, 999_000]
