import numpy as np
import pytest

from runner.config.errors import UserError
from runner.metrics import METRICS
from runner.metrics.measurement import Measurement
from runner.metrics.names import check_scope, figure_named, name_of
from tests.runner.metrics.made import task

#: a: 90 requests in 30 s, half of them 50 ms and half 100 ms; b: 30 of 9 ms.
A = task([50.0] * 45 + [100.0] * 45, "a", 2, np.linspace(100, 30_000, 90), 30_000)
B = task([9.0] * 30, "b", -1, np.linspace(100, 30_000, 30), 30_000)
MEASURED = Measurement({"a": A, "b": B}, preemptions=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("p99_ms", 100.0),
        ("p99_ms/highest", 100.0),
        ("p99_ms/lowest", 9.0),
        ("p50_ms/priority_2", 50.0),
        ("p50_ms/a", 50.0),
        ("p50_ms/system", 50.0),
        ("throughput_rps/total", 4.0),
        ("throughput_rps/system", 4.0),
        ("share/a", 0.75),
        ("share/lowest", 0.25),
        ("preemptions", 3.0),
        ("stp", 10 / 75 + 10 / 9),
        ("stp/system", 10 / 75 + 10 / 9),
        ("p99_ms/nobody", None),
        ("p99_ms/priority_0", None),
        ("share/nobody", None),
        ("saturation", None),
    ],
)
def test_figures_by_name(name: str, value: float | None) -> None:
    found = figure_named(name).of(MEASURED)
    assert (found and found.value) == (value and pytest.approx(value))


def test_tasks_that_ran_alone_have_nothing_of_all_together() -> None:
    alone = Measurement(MEASURED.tasks, side_by_side=False, saturation=0.5)
    for name in ("stp", "p99_ms/system", "throughput_rps/total", "share/a"):
        assert figure_named(name).of(alone) is None, name
    assert figure_named("p99_ms/a").of(alone) is not None


@pytest.mark.parametrize("name", ["p99_ms", "p99_ms/highest", "p99_ms/lowest", "p99_ms/a"])
def test_a_run_without_requests_has_no_figures(name: str) -> None:
    assert figure_named(name).of(Measurement({})) is None


def test_a_metric_that_there_is_not_is_refused_with_a_guess() -> None:
    with pytest.raises(UserError, match="metric=p98_ms/a: there is no figure p98_ms") as error:
        figure_named("p98_ms/a")
    assert "did you mean: p99_ms" in str(error.value)
    with pytest.raises(UserError, match=r"sweep\.primary=: there is no figure"):
        figure_named("", "sweep.primary")


@pytest.mark.parametrize("name", ["p99_ms/priority_3", "stp", "throughput_rps/system", "p50_ms"])
def test_a_name_is_said_as_it_is_read(name: str) -> None:
    assert str(figure_named(name)) == name


def test_total_is_what_the_system_was_called() -> None:
    assert str(figure_named("throughput_rps/total")) == "throughput_rps/system"


def test_every_name_that_is_made_is_understood() -> None:
    for scope in MEASURED.scopes():
        for metric in METRICS.values():
            if metric.of_all == scope.of_all:
                figure = figure_named(name_of(metric, scope))
                assert (figure.metric, figure.scope_of(MEASURED)) == (metric, scope)


@pytest.mark.parametrize("scope", ["", "/a", "/priority_-1", "/highest", "/lowest", "/system"])
def test_scopes_that_a_task_set_has(scope: str) -> None:
    check_scope(figure_named(f"p99_ms{scope}"), {"a": 2, "b": -1}, "key")


@pytest.mark.parametrize("scope", ["nobody", "priority_0", "urgent"])
def test_a_scope_that_a_task_set_has_not_is_refused(scope: str) -> None:
    with pytest.raises(UserError, match=f"key=p99_ms/{scope}: the task set has no {scope}"):
        check_scope(figure_named(f"p99_ms/{scope}"), {"a": 2, "b": -1}, "key")


def test_the_ends_are_those_of_the_task_set_whichever_of_its_tasks_ran() -> None:
    """Of an arm that leaves some out, the lowest that ran is not the lowest."""
    part = Measurement({"a": A}, of_set=frozenset({2, -1}))
    assert figure_named("p99_ms/lowest").of(part) is None
    assert figure_named("share/lowest").of(part) is None
    highest = figure_named("p99_ms/highest").of(part)
    assert highest
    assert highest.value == 100.0


def test_a_task_without_requests_is_not_left_out_of_what_is_said_of_all() -> None:
    starved = Measurement({"a": A, "b": task([], "b", -1, np.array([]), 30_000)})
    for name in ("jain", "antt", "stp", "p99_ms/system", "p99_ms/lowest", "p99_ms/b"):
        assert figure_named(name).of(starved) is None, name
    assert figure_named("p99_ms/a").of(starved) is not None
    share = figure_named("share/a").of(starved)
    assert share
    assert share.value == 1.0
