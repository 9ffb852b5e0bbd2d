import numpy as np
import pytest

from runner.metrics import METRICS
from tests.runner.metrics.made import task

throughput = METRICS["throughput_rps"]


def test_extra_requests_count_within_the_window() -> None:
    found = throughput([task([10, 10], completed_ms=[10, 20, 50, 100, 101], window_ms=100)])
    assert found is not None
    assert found.value == pytest.approx(40), "four in a tenth of a second"


def test_tasks_add_up() -> None:
    both = [task([10] * 10, "a", window_ms=200), task([20] * 10, "b", window_ms=200)]
    found = throughput(both)
    assert found is not None
    assert found.value == pytest.approx(50 + 50)


def test_a_steady_rate_is_known_exactly() -> None:
    found = throughput([task([10] * 50)])
    assert found is not None
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((100, 100))


def test_gaps_that_scatter_widen_it() -> None:
    found = throughput([task(np.random.default_rng(1).exponential(10, 400))])
    assert found is not None
    assert found.interval is not None
    assert 100 in found.interval
    assert found.interval.high / found.interval.low == pytest.approx(1.22, abs=0.05)


def test_one_completion_has_no_interval() -> None:
    found = throughput([task([10])])
    assert found is not None
    assert (found.value, found.interval) == (100, None)
