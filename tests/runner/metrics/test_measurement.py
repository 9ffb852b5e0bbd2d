from runner.metrics.measurement import Measurement, Scope
from tests.runner.metrics.made import task

THREE = {
    "low": task([1.0], "low", -1),
    "high-2": task([1.0], "high-2", 2),
    "high-1": task([1.0], "high-1", 2),
}


def test_priorities_come_first_and_all_together_last() -> None:
    assert list(Measurement(THREE).scopes()) == [
        Scope("priority_2", "priority 2", ("high-1", "high-2")),
        Scope("priority_-1", "priority -1", ("low",)),
        Scope("low", "low", ("low",)),
        Scope("high-2", "high-2", ("high-2",)),
        Scope("high-1", "high-1", ("high-1",)),
        Scope("system", "system", ("high-1", "high-2", "low"), of_all=True),
    ]


def test_tasks_that_ran_alone_make_no_system() -> None:
    assert "system" not in {scope.key for scope in Measurement(THREE, False).scopes()}


def test_priorities_are_those_that_occur() -> None:
    assert Measurement(THREE).priorities == [2, -1]
    assert Measurement({}).priorities == []
