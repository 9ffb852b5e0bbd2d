import numpy as np

from runner.proof.replay import Decided, replay
from xsched_bindings.policies import create_policy


def spans(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def test_a_policy_is_asked_whenever_a_task_gets_work_or_runs_out_of_it() -> None:
    policy = create_policy("hpf")
    policy.hint_priority(0, 1)
    low, high = frozenset({1}), frozenset({0})
    both = high | low
    assert [*replay(policy, [spans((30, 50)), spans((10, 60))])] == [
        Decided(10, low, both),
        Decided(30, both, high),
        Decided(50, low, both),
        Decided(60, frozenset(), both),
    ]


def test_work_that_follows_at_once_ends_before_it_begins() -> None:
    policy = create_policy("hpf")
    ready = [decided.ready for decided in replay(policy, [spans((0, 5), (5, 9))])]
    assert ready == [{0}, set(), {0}, set()]


def test_a_policy_that_asks_for_a_time_is_asked_then() -> None:
    policy = create_policy("lax")
    policy.hint_laxity(0, 1_000, 0, 5)  # microseconds
    at_ns = [d.at_ns for d in replay(policy, [spans((100, 3_000_000)), spans((0, 2_000_000))])]
    assert at_ns == [0, 100, 1_000_100, 2_000_000, 3_000_000]


def test_turns_go_on_from_one_time_to_the_next() -> None:
    policy = create_policy("up")
    policy.set_timeslice(100)  # microseconds
    for number in range(2):
        policy.hint_utilization(number, 50)
    found = [*replay(policy, [spans((0, 1_000_000)), spans((0, 1_000_000))])]
    runs = [decided.run for decided in found if decided.at_ns < 1_000_000]
    assert len(runs) >= 20, "a turn of 50 µs in a millisecond"
    assert all(len(run) == 1 for run in runs[1:])


def test_nothing_ran() -> None:
    assert [*replay(create_policy("hpf"), [spans(), spans()])] == []
