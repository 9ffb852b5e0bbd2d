"""MLFQ against hand-made traces. Times in milliseconds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.xsched_bindings.policy_traces import MS, Change, replay, runs
from xsched_bindings.policies.mlfq import MultiLevelFeedback

BOTH = [(0.0, 1, True), (0.0, 2, True)]


def test_slices_double_from_level_to_level() -> None:
    assert runs(MultiLevelFeedback(), BOTH, 400) == [
        (0, {1}),
        (10, {2}),
        (20, {1}),
        (40, {2}),
        (60, {1}),
        (100, {2}),
        (140, {1}),
        (220, {2}),
        (300, {1}),
        (380, {2}),
    ]


def test_idle_queues_wait_suspended_and_all_may_run_when_nobody_works() -> None:
    policy = MultiLevelFeedback()
    assert policy.decide({1: None, 2: None}, 0).run == {1, 2}
    assert policy.decide({1: None, 2: 0}, 0).run == {2}


def test_a_fresh_queue_goes_before_one_that_has_used_its_slice() -> None:
    trace = [(0, 1, True), (15, 2, True), (18, 2, False)]
    assert runs(MultiLevelFeedback(), trace, 60) == [(0, {1}), (15, {2}), (18, {1})]


def test_a_fresh_queue_waits_for_the_slice_of_an_equal_and_never_runs_beside_it() -> None:
    assert runs(MultiLevelFeedback(), [(0, 1, True), (4, 2, True)], 15) == [(0, {1}), (10, {2})]


def test_who_is_interrupted_keeps_what_is_left_of_the_slice() -> None:
    """1 and 2 are on level 1; 1 has 14 of its 20 ms left when 3 comes for 2 ms."""
    trace = [*BOTH, (26, 3, True), (28, 3, False), (28, 2, False)]
    policy = MultiLevelFeedback()
    assert runs(policy, trace, 50) == [(0, {1}), (10, {2}), (20, {1}), (26, {3}), (28, {1})]
    fresh = [*trace, (41, 4, True), (43, 4, False), (43, 2, True)]
    assert runs(MultiLevelFeedback(), fresh, 50)[5:] == [(41, {4}), (43, {1}), (44, {2})]


def test_who_ends_with_its_slice_used_has_fallen_when_it_comes_back() -> None:
    trace = [(0, 1, True), (10, 1, False), (11, 1, True), (11, 2, True)]
    assert runs(MultiLevelFeedback(), trace, 30) == [(0, {1}), (10, set()), (11, {2}), (21, {1})]


def test_the_longest_waiting_of_a_level_is_next() -> None:
    trace = [(0, 3, True), (1, 2, True), (2, 1, True)]
    assert runs(MultiLevelFeedback(), trace, 30) == [(0, {3}), (10, {2}), (20, {1})]


def test_short_requests_count_in_full() -> None:
    """Four times 3 ms use up 10 ms, although each ends before the policy looks by itself."""
    short = [(at + d, 1, d == 0) for at in (0, 6, 12, 18) for d in (0, 3)]
    trace = [*short, (30, 1, True), (31, 2, True)]
    assert runs(MultiLevelFeedback(), trace, 40)[-1] == (31, {2})
    trace = [*short[:-2], (30, 1, True), (30.5, 2, True)]
    assert runs(MultiLevelFeedback(), trace, 31)[-1] == (30, {1})


def test_idle_time_lifts_a_queue_by_a_level() -> None:
    def later(ms: float) -> list[Change]:
        """1 falls to level 1, rests, and meets 2, which is on level 1 too."""
        rested = 12 + ms
        return [
            (0, 1, True),
            (12, 1, False),
            (rested - 11, 2, True),
            (rested, 1, True),
        ]

    assert runs(MultiLevelFeedback(), later(101), 120)[-1] == (113, {1})
    assert runs(MultiLevelFeedback(), later(99), 115)[-1] == (101 - 1, {2})


def test_a_queue_that_always_works_sinks_to_the_lowest_level_and_stays() -> None:
    """Beside an equal. What it runs is no rest."""
    changes = runs(MultiLevelFeedback(), BOTH, 3000)
    turns = [later - at for (at, _), (later, _) in pairwise(changes)]
    assert set(turns[7:]) == {80}


def test_nobody_starves_however_many_fresh_queues_come() -> None:
    """A new queue every 10 ms, each with 10 ms of work; one sits alone on the lowest level."""
    fresh: list[Change] = []
    for number in range(600):
        fresh += [(200 + 10 * number, 2 + number, True), (210 + 10 * number, 2 + number, False)]
    used = replay(MultiLevelFeedback(), [(0, 1, True), *fresh], 6200).used_ns
    assert used[1] > 220 * MS


work = st.lists(
    st.tuples(st.floats(0, 500), st.integers(1, 5), st.booleans()), min_size=1, max_size=30
)


@given(work)
def test_one_queue_runs_at_a_time(trace: list[Change]) -> None:
    assert all(len(running) <= 1 for _, running in runs(MultiLevelFeedback(), trace, 600))
