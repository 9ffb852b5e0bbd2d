from dataclasses import replace

import numpy as np
import pytest

from runner.metrics import METRICS
from tests.runner.metrics.made import task


def test_the_suspensions_of_all_tasks_are_pooled() -> None:
    first = replace(task([5], "a"), preemption_ms=np.arange(1.0, 51.0))
    second = replace(task([5], "b"), preemption_ms=np.arange(51.0, 101.0))
    p50 = METRICS["preemption_p50_ms"]([first, second])
    p99 = METRICS["preemption_p99_ms"]([first, second])
    assert p50 is not None
    assert p50.interval is not None
    assert (p50.value, p99.value if p99 else None) == (50, 99)
    assert p50.interval.low < 50 < p50.interval.high


@pytest.mark.parametrize("count", [0, 2, 19])
def test_a_few_suspensions_prove_a_level_and_time_nothing(count: int) -> None:
    assert METRICS["preemption_p50_ms"]([replace(task([5]), preemption_ms=np.ones(count))]) is None
