"""KEDF against hand-made traces. Times in milliseconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xsched_bindings.policy_traces import runs
from xsched_bindings.policies.kedf import KEarliestDeadlineFirst
from xsched_bindings.types import NO_DEADLINE


def policy(k: int, deadlines_ms: dict[int, float]) -> KEarliestDeadlineFirst:
    made = KEarliestDeadlineFirst()
    made.set_k_deadline(k)
    for queue, deadline_ms in deadlines_ms.items():
        made.hint_deadline(queue, round(deadline_ms * 1000))
    return made


def test_the_earliest_deadline_runs_from_ready_time_on() -> None:
    trace = [(0, 1, True), (20, 2, True), (25, 2, False), (45, 2, True), (60, 1, False)]
    assert runs(policy(1, {1: 50, 2: 10}), trace, 100) == [
        (0, {1}),
        (20, {2}),  # due at 30, before 50
        (25, {1}),  # and stays: at 45 the other's is 55
        (60, {2}),
    ]


def test_a_queue_that_comes_back_has_a_new_deadline() -> None:
    trace = [(0, 1, True), (0, 2, True), (5, 1, False), (5.1, 1, True)]
    assert runs(policy(1, {1: 10, 2: 12}), trace, 20) == [(0, {1}), (5, {2})]


def test_k_of_them_run_together() -> None:
    trace = [(0, 1, True), (1, 2, True), (2, 3, True), (3, 4, True), (4, 2, False)]
    assert runs(policy(2, {1: 40, 2: 20, 3: 30, 4: 5}), trace, 10) == [
        (0, {1}),
        (1, {1, 2}),
        (2, {2, 3}),
        (3, {2, 4}),
        (4, {3, 4}),
    ]


def test_equal_deadlines_go_by_arrival() -> None:
    trace = [(0, 2, True), (5, 1, True), (9, 2, False), (10, 2, True)]
    assert runs(policy(1, {1: 10, 2: 10}), trace, 15) == [(0, {2}), (9, {1})]
    assert runs(policy(1, {1: 10, 2: 15}), trace[:2], 15) == [(0, {2})]


@pytest.mark.parametrize("none", [{}, {2: NO_DEADLINE / 1000}])
def test_without_a_deadline_a_queue_comes_after_the_others_and_before_idle_ones(
    none: dict[int, float],
) -> None:
    trace = [(0, 2, True), (5, 3, True), (9, 3, False), (20, 1, True), (21, 1, False)]
    assert runs(policy(1, {1: 10, 3: 999} | none), trace, 30) == [
        (0, {2}),
        (5, {3}),
        (9, {2}),
        (20, {1}),
        (21, {2}),
    ]


def test_hints_out_of_range_are_ignored() -> None:
    made = policy(2, {1: 5, 2: 6})
    made.set_k_deadline(0)
    assert made.decide({1: 0, 2: 0}, 0).run == {1, 2}


@given(
    st.dictionaries(
        st.integers(1, 30),
        st.tuples(st.none() | st.integers(0, 10**9), st.none() | st.integers(1, 10**6)),
    ),
    st.integers(1, 12),
)
def test_of_those_with_work_the_k_earliest_run(
    state: dict[int, tuple[int | None, int | None]], k: int
) -> None:
    made = KEarliestDeadlineFirst()
    made.set_k_deadline(k)
    due: dict[int, float] = {}
    for queue, (since_ns, deadline_us) in state.items():
        if deadline_us is not None:
            made.hint_deadline(queue, deadline_us)
        if since_ns is not None:
            due[queue] = float("inf") if deadline_us is None else since_ns + deadline_us * 1000
    run = made.decide({queue: since for queue, (since, _) in state.items()}, 10**9).run
    at_work = run & set(due)
    assert len(at_work) == min(k, len(due))
    waiting = set(due) - run
    if at_work and waiting:
        assert max(due[queue] for queue in at_work) <= min(due[queue] for queue in waiting)
