"""LAX against hand-made traces. Times in milliseconds."""

from hypothesis import given
from hypothesis import strategies as st

from tests.xsched_bindings.policy_traces import MS, runs
from xsched_bindings.policies.lax import Laxity
from xsched_bindings.types import NO_LAXITY, PRIORITY_NO_EXECUTE


def policy(**hints: tuple[float, int, int]) -> Laxity:
    """hints: q1=(laxity in milliseconds, lax priority, critical priority)"""
    made = Laxity()
    for name, (laxity_ms, lax, critical) in hints.items():
        made.hint_laxity(int(name[1:]), round(laxity_ms * 1000), lax, critical)
    return made


def test_a_queue_is_urgent_once_its_laxity_is_used_up() -> None:
    trace = [(0, 2, True), (5, 1, True), (40, 1, False), (50, 1, True), (60, 1, False)]
    assert runs(policy(q1=(20, 0, 1)), trace, 100) == [
        (0, {2}),
        (5, {1, 2}),
        (25, {1}),
        (40, {2}),
        (50, {1, 2}),  # a new request, so lax again; done in time
        (60, {2}),
    ]


def test_several_laxities_expire_one_after_another() -> None:
    trace = [(0, 1, True), (0, 2, True), (0, 3, True)]
    assert runs(policy(q1=(10, 0, 1), q2=(30, 0, 1), q3=(50, 0, 2)), trace, 60) == [
        (0, {1, 2, 3}),
        (10, {1}),
        (30, {1, 2}),
        (50, {3}),
    ]


def test_the_lax_priority_counts_until_then() -> None:
    trace = [(0, 1, True), (0, 2, True)]
    assert runs(policy(q1=(10, -1, 1)), trace, 20) == [(0, {2}), (10, {1})]


def test_no_laxity_is_urgent_at_once() -> None:
    made = Laxity()
    made.hint_laxity(1, NO_LAXITY, 0, 1)
    decision = made.decide({1: 7 * MS, 2: 0}, 7 * MS)
    assert (decision.run, decision.wake_at_ns) == ({1}, None)


def test_an_idle_queue_has_its_lax_priority() -> None:
    made = policy(q1=(10, 0, 5), q2=(10, 1, 5))
    assert made.decide({1: None, 2: None}, 0).run == {1, 2}
    assert made.decide({1: None, 2: 0}, 0).run == {2}


def test_the_next_look_is_at_the_first_laxity_that_is_left() -> None:
    made = policy(q1=(10, 0, 1), q2=(30, 0, 1))
    assert made.decide({1: 0, 2: 0}, 5 * MS).wake_at_ns == 10 * MS
    assert made.decide({1: 0, 2: 0}, 10 * MS).wake_at_ns == 30 * MS
    assert made.decide({1: 0, 2: None}, 10 * MS).wake_at_ns is None


def test_priorities_are_clamped_so_a_queue_alone_always_runs() -> None:
    made = policy(q1=(0, PRIORITY_NO_EXECUTE, PRIORITY_NO_EXECUTE))
    assert made.decide({1: 0}, 0).run == {1}


hints = st.tuples(st.integers(0, 50), st.integers(-3, 3), st.integers(-3, 3))


@given(
    st.dictionaries(st.integers(1, 9), st.tuples(st.none() | st.integers(0, 99), hints)),
    st.integers(99, 200),
)
def test_the_highest_priority_of_the_moment_runs(
    state: dict[int, tuple[int | None, tuple[int, int, int]]], now: int
) -> None:
    made = Laxity()
    priority: dict[int, int] = {}
    for queue, (since, (laxity, lax, critical)) in state.items():
        made.hint_laxity(queue, laxity, lax, critical)
        priority[queue] = lax if since is None or now < since + laxity else critical
    queues = {q: None if since is None else since * 1000 for q, (since, _) in state.items()}
    highest = max((priority[q] for q in queues if queues[q] is not None), default=-255)
    run = made.decide(queues, now * 1000).run
    assert run == {queue for queue in queues if priority[queue] >= highest}
