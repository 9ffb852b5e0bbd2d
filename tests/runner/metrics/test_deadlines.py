import pytest

from runner.metrics import METRICS
from tests.runner.metrics.made import task

attainment = METRICS["slo_attainment"]


def test_a_request_on_the_deadline_meets_it() -> None:
    found = attainment([task([10, 20, 21, 5], deadline_ms=20)])
    assert found is not None
    assert (found.value, found.step) == (0.75, 0.25)


def test_each_task_has_its_own_deadline() -> None:
    found = attainment([task([10, 20], "a", deadline_ms=15), task([10, 20], "b", deadline_ms=25)])
    assert found is not None
    assert found.value == pytest.approx(0.75)


def test_without_deadlines_there_is_none() -> None:
    assert attainment([task([10, 20], deadline_ms=15), task([10, 20], "b")]) is None
