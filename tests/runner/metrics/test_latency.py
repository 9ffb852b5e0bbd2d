import math

import numpy as np

from runner.metrics import METRICS
from runner.metrics.intervals import Interval
from tests.runner.metrics.made import task


def value(tag: str, *responses: float) -> float:
    found = METRICS[tag]([task(responses)])
    assert found is not None
    return found.value


def test_percentiles_mean_and_maximum_of_a_thousand() -> None:
    responses = np.arange(1.0, 1001.0)
    expected = {
        "p50_ms": 500,
        "p90_ms": 900,
        "p95_ms": 950,
        "p99_ms": 990,
        "p99.9_ms": 999,
        "mean_ms": 500.5,
        "max_ms": 1000,
    }
    assert {tag: value(tag, *responses) for tag in expected} == expected


def test_service_counts_from_the_start() -> None:
    assert value("service_p50_ms", 4, 6, 8) == 3
    assert value("service_p99_ms", 4, 6, 8) == 4
    assert value("service_mean_ms", 4, 6, 8) == 3


def test_p99_of_a_thousand_has_an_interval_and_of_a_hundred_no_upper_end() -> None:
    rng = np.random.default_rng(1)
    many = METRICS["p99_ms"]([task(rng.permutation(np.arange(1.0, 1001.0)))])
    few = METRICS["p99_ms"]([task(rng.permutation(np.arange(1.0, 101.0)))])
    assert many is not None
    assert few is not None
    assert many.interval == Interval(983, 997)
    assert few.interval is not None
    assert few.interval.high == math.inf
    assert "> max" in str(few.interval)


def test_tasks_of_a_priority_are_pooled() -> None:
    both = [task([1, 2, 3], "a"), task([10, 20], "b")]
    found = METRICS["p50_ms"](both)
    assert found is not None
    assert found.value == 3
