import math

import numpy as np
import pytest

from runner.metrics import METRICS, Task
from tests.runner.metrics.made import task


def sharing(*shares: tuple[float, float | None]) -> list[Task]:
    """Tasks that got so much of the device (percent) and were to get so much."""
    made = []
    for number, (got, wanted) in enumerate(shares):
        completed = np.linspace(1000 / got, 1000, int(got))
        response = [10.0] * int(got)
        made.append(task(response, str(number), 0, completed, 1000, utilization=wanted))
    return made


def value(tag: str, *shares: tuple[float, float | None]) -> float:
    found = METRICS[tag](sharing(*shares))
    assert found is not None
    return found.value


def test_jain_is_one_if_all_get_in_proportion() -> None:
    assert value("jain", (60, 75), (20, 25)) == pytest.approx(1)
    assert value("jain", (40, None), (40, None)) == pytest.approx(1)


def test_jain_by_hand() -> None:
    """x = 45 / 0.75 and 45 / 0.25."""
    assert value("jain", (45, 75), (45, 25)) == pytest.approx(240**2 / (2 * (60**2 + 180**2)))


def test_jain_goes_to_one_by_tasks_if_one_gets_all() -> None:
    assert value("jain", (99, None), (1, None)) == pytest.approx(0.51, abs=0.01)


def test_share_error_by_hand() -> None:
    assert value("share_error", (45, 75), (45, 25)) == pytest.approx(0.25)
    assert value("share_error", (60, 75), (20, 25)) == pytest.approx(0)
    assert METRICS["share_error"](sharing((45, None), (45, None))) is None, "nothing configured"


def test_there_is_none_for_one_task_or_unclear_entitlements() -> None:
    assert METRICS["jain"](sharing((50, None))) is None
    assert METRICS["jain"](sharing((50, 75), (25, None))) is None
    assert METRICS["jain"](sharing((50, 100), (25, 0))) is None
    unknown = [task([10], "a", solo_ms=math.nan), task([10], "b")]
    assert METRICS["jain"](unknown) is None


def part(got: int, *others: int) -> float | None:
    """The share that one of these tasks has, which got so many percent."""
    first, *rest = sharing(*((each, None) for each in (got, *others)))
    found = METRICS["share"]([first], [first, *rest])
    return found.value if found else None


def test_a_share_is_of_what_the_device_got_done() -> None:
    assert part(60, 20) == pytest.approx(0.75)
    assert part(45, 45) == pytest.approx(0.5)
    assert part(45) == 1


def test_a_priority_has_the_shares_of_its_tasks() -> None:
    tasks = sharing((30, None), (30, None), (20, None))
    found = METRICS["share"](tasks[:2], tasks)
    assert found is not None
    assert found.value == pytest.approx(0.75)


def test_what_a_task_with_an_unknown_solo_time_did_is_no_share() -> None:
    known, unknown = task([10], "a"), task([10], "b", solo_ms=math.nan)
    assert METRICS["share"]([known], [known, unknown]) is None
