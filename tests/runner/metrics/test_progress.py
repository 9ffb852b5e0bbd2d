import math

import pytest

from runner.metrics import METRICS, Tasks
from tests.runner.metrics.made import task

TWO = [task([20, 20, 20], "a", solo_ms=10), task([40, 40, 40], "b", solo_ms=10)]


def value(tag: str, tasks: Tasks) -> float:
    found = METRICS[tag](tasks)
    assert found is not None
    return found.value


def test_by_hand() -> None:
    assert value("stp", TWO) == pytest.approx(1 / 2 + 1 / 4)
    assert value("antt", TWO) == pytest.approx((2 + 4) / 2)


def test_tasks_alone_make_full_progress() -> None:
    alone = [task([10, 10], "a"), task([10, 10], "b"), task([10, 10], "c")]
    assert value("stp", alone) == pytest.approx(3)
    assert value("antt", alone) == pytest.approx(1)


def test_their_intervals_hold_them() -> None:
    scattered = [task([15, 25, 20, 18], "a"), task([30, 50, 45, 35], "b")]
    for tag in ("stp", "antt"):
        found = METRICS[tag](scattered)
        assert found is not None
        assert found.interval is not None
        assert found.interval.low < found.value < found.interval.high


def test_without_solo_time_there_is_none() -> None:
    assert METRICS["stp"]([task([10, 10], solo_ms=math.nan)]) is None
