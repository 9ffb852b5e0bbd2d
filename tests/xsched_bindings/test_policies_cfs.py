"""CFS against hand-made traces. Times in milliseconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xsched_bindings.policy_traces import MS, Change, replay, runs
from xsched_bindings.policies.cfs import CompletelyFair


def policy(**priorities: int) -> CompletelyFair:
    made = CompletelyFair()
    for name, priority in priorities.items():
        made.hint_priority(int(name[1:]), priority)
    return made


def test_equals_take_turns_of_a_millisecond() -> None:
    assert runs(policy(), [(0, 1, True), (0, 2, True)], 4) == [
        (0, {1}),
        (1, {2}),
        (2, {1}),
        (3, {2}),
    ]


def test_idle_queues_wait_suspended_and_all_may_run_when_nobody_works() -> None:
    made = policy()
    assert made.decide({1: None, 2: None}, 0).run == {1, 2}
    assert made.decide({1: None, 2: 0}, 0).run == {2}


@pytest.mark.parametrize("low", [0, 7, -255])
@pytest.mark.parametrize("more", [1, 4, 8])
def test_time_is_shared_by_weight(low: int, more: int) -> None:
    both = [(0, 1, True), (0, 2, True)]
    used = replay(policy(q1=low, q2=low + more), both, 2000).used_ns
    assert used[2] / used[1] == pytest.approx(1.2**more, rel=0.02)


def test_a_turn_ends_with_the_work() -> None:
    trace = [(0, 1, True), (0, 2, True), (0.5, 1, False)]
    assert runs(policy(), trace, 3) == [(0, {1}), (0.5, {2})]


def test_being_idle_earns_no_credit() -> None:
    trace = [(0, 1, True), (0, 2, True), (1, 2, False), (500, 2, True)]
    used = replay(policy(), trace, 510).used_ns
    assert used[2] == pytest.approx(5 * MS, abs=1 * MS)


def test_a_newcomer_with_a_hint_starts_level_with_the_others() -> None:
    made = policy(q1=0, q2=0, q3=0)
    trace = [(0, 1, True), (0, 2, True), (300, 3, True)]
    used = replay(made, trace, 330).used_ns
    assert used[3] == pytest.approx(10 * MS, abs=1 * MS)


def test_having_run_alone_is_no_debt() -> None:
    trace = [(0, 1, True), (900, 1, False), (901, 2, True), (905, 1, True)]
    done = replay(policy(), trace, 925)
    # what 2 ran alone is no debt either
    assert done.used_ns[1] == pytest.approx(910 * MS, abs=3 * MS)


def test_a_priority_out_of_range_is_clamped() -> None:
    used = replay(policy(q1=9999, q2=255), [(0, 1, True), (0, 2, True)], 20).used_ns
    assert used[1] == used[2]


def test_what_lower_weights_have_run_up_does_not_swallow_the_turns_of_others() -> None:
    trace = [(0, 1, True), (50, 1, False), (50, 2, True), (50, 3, True)]
    used = replay(policy(q1=-255), trace, 70).used_ns
    assert used[2] == used[3] == 10 * MS


work = st.lists(
    st.tuples(st.floats(0, 60), st.integers(1, 4), st.booleans()), min_size=1, max_size=30
)


@given(work, st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.floats(1, 70))
def test_queues_at_work_stay_within_two_turns_of_each_other(
    trace: list[Change], priorities: list[int], until: float
) -> None:
    """Over any time in which two queues have work throughout, what they get by weight differs by
    no more than two turns of the lightest, whatever the others do."""
    hints = {f"q{queue}": priority for queue, priority in enumerate(priorities, 1)}
    last = {queue: max((at for at, q, _ in trace if q == queue), default=0.0) for queue in range(5)}
    working = [q for at, q, on in sorted(trace) if on and at == last[q] and at < until]
    if len(working) < 2:
        return
    one, other = working[0], working[-1]
    begin = max(last[one], last[other])
    before = replay(policy(**hints), trace, begin).used_ns
    after = replay(policy(**hints), trace, max(begin, until)).used_ns

    def got(queue: int) -> float:
        return (after[queue] - before[queue]) / 1.2 ** priorities[queue - 1]

    assert abs(got(one) - got(other)) <= 2.001 * MS / 1.2 ** min(priorities)
