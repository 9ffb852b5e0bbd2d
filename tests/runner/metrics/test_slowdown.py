import math

from runner.metrics import METRICS
from tests.runner.metrics.made import task


def test_every_request_by_the_solo_time_of_its_own_task() -> None:
    fast, slow = task([10, 20], "a", solo_ms=10), task([100, 300], "b", solo_ms=100)
    p50, p99 = METRICS["slowdown_p50"]([fast, slow]), METRICS["slowdown_p99"]([fast, slow])
    assert p50 is not None
    assert p99 is not None
    assert (p50.value, p99.value) == (1, 3)


def test_without_solo_time_there_is_none() -> None:
    assert METRICS["slowdown_p99"]([task([10], solo_ms=math.nan)]) is None
