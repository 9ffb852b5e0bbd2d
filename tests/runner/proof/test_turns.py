"""Turns by hand: who had the device when, as marks a millisecond apart."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from runner.proof.checks import Check
from runner.proof.marks import Served
from runner.proof.replay import merged
from runner.proof.turns import Turns, check_turns, given, taken
from tests.runner.proof.traces import MS, served, task
from xsched_bindings.policies import create_policy

FIRST, SECOND = task("first"), task("second")
WHOLE_MS = 2000


def by_turns(*lengths_ms: float, part_ms: float = 1.0) -> list[Served]:
    """Two tasks that always have work and have the device in turn, for so long each."""
    at, marks = 0.0, ([], [])  # type: tuple[float, tuple[list[float], list[float]]]
    for number, length in zip(cycle(range(2)), cycle(lengths_ms), strict=False):
        if at >= WHOLE_MS:
            break
        marks[number].extend(np.arange(at, min(at + length, WHOLE_MS), part_ms) + part_ms)
        at += length
    return [
        served(of, [(0, WHOLE_MS)], times, parts=1000)
        for of, times in zip((FIRST, SECOND), marks, strict=True)
    ]


def up(timeslice_ms: float, *shares: int) -> Turns:
    policy = create_policy("up")
    policy.set_timeslice(int(timeslice_ms * 1000))
    for number, share in enumerate(shares):
        policy.hint_utilization(number, share)
    return given(policy, by_turns(1, 1))


def judged(tasks: list[Served], *should: Turns) -> Check:
    return check_turns(should, taken(tasks), tasks)


def test_what_a_policy_gives() -> None:
    turns = up(40, 75, 25)
    assert turns.share == pytest.approx([0.75, 0.25], abs=0.01)
    assert turns.turn_ns == pytest.approx(30 * MS, rel=0.02)


def test_what_tasks_take() -> None:
    turns = taken(by_turns(30, 10))
    assert turns.share == pytest.approx([0.75, 0.25], abs=0.01)
    assert turns.turn_ns == pytest.approx(30 * MS, rel=0.02)


def test_a_task_alone_takes_nothing_from_anybody() -> None:
    alone = served(SECOND, [(0, 1000)], np.arange(1, 1000).tolist())
    late = served(FIRST, [(900, 1000)], np.arange(950, 1000).tolist())
    assert taken([late, alone]).share == pytest.approx([50 / 149, 99 / 149], abs=0.01)


def test_a_turn_ends_where_nobody_else_has_work() -> None:
    """An urgent task that has the device whenever it wants it, for 10 ms each time."""
    spans = [(at, at + 10) for at in range(0, 1000, 100)]
    marks = [at + part for at, _ in spans for part in range(1, 11)]
    urgent = served(FIRST, spans, marks)
    other = served(SECOND, [(0, 1000)], [at for at in range(1, 1000) if at % 100 > 10])
    assert taken([urgent, other]).turn_ns == pytest.approx(10 * MS)
    policy = create_policy("hpf")
    policy.hint_priority(0, 1)
    assert given(policy, [urgent, other]).turn_ns == pytest.approx(10 * MS)


def test_shares_as_given_pass() -> None:
    check = judged(by_turns(30, 10), up(40, 75, 25))
    assert (check.passed, check.decided) == (True, True)


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        (by_turns(10, 30), "first had 0.25 of the device, and the policy gives 0.75"),
        (by_turns(1, 1), "first had 0.50 of the device, and the policy gives 0.75"),
        (by_turns(38, 2), "first had 0.95 of the device, and the policy gives 0.75"),
    ],
    ids=["inverted", "unscheduled", "too much"],
)
def test_other_shares_are_refused(tasks: list[Served], says: str) -> None:
    check = judged(tasks, up(40, 75, 25))
    assert not check.passed
    assert says in check.finding


def test_even_shares_in_long_turns_are_told_from_no_turns() -> None:
    assert judged(by_turns(20, 20), up(40, 50, 50)).passed
    check = judged(by_turns(4, 4), up(40, 50, 50))
    assert not check.passed
    assert "turns lasted 4.0 ms, and the policy's 20.0 ms" in check.finding
    assert judged(by_turns(3, 1), up(40, 75, 25)).passed, "shares have told it"


def test_turns_that_last_too_long_are_refused() -> None:
    """As where the time slice is ten times what was asked: all have their shares, and wait."""
    assert judged(by_turns(60, 20), up(40, 75, 25)).passed, "late decisions are no other slice"
    check = judged(by_turns(300, 100), up(40, 75, 25))
    assert not check.passed
    assert "turns lasted 300.0 ms, and the policy's 30.0 ms" in check.finding


def test_a_standstill_of_the_machine_is_no_long_turn() -> None:
    lengths = [30.0, 10.0] * 10 + [300.0, 100.0] + [30.0, 10.0] * 10
    assert judged(by_turns(*lengths), up(40, 75, 25)).passed


def test_even_shares_in_short_turns_show_nothing() -> None:
    check = judged(by_turns(2, 2), up(4, 50, 50))
    assert (check.passed, check.decided) == (True, False)


def test_shares_that_nobodys_scheduling_may_come_to_show_nothing() -> None:
    """A machine that others use gives no even shares: far from even is no proof of a policy that
    gives almost even ones."""
    for tasks in (by_turns(3, 2), by_turns(9, 5)):
        check = judged(tasks, up(4, 55, 45))
        assert (check.passed, check.decided) == (True, False)
    assert judged(by_turns(2.7, 1.3), up(4, 75, 25)).decided
    check = judged(by_turns(6, 4), up(80, 62, 38))
    assert "turns lasted 6.0 ms" in check.finding, "its turns can be told"
    assert judged(by_turns(48, 32), up(80, 62, 38)).passed


def test_what_either_reading_of_short_gaps_gives_is_right() -> None:
    assert judged(by_turns(20, 20), up(40, 75, 25), up(40, 50, 50)).passed
    assert not judged(by_turns(2, 38), up(40, 75, 25), up(40, 50, 50)).passed
    either = judged(by_turns(2, 2), up(4, 75, 25), up(4, 50, 50))
    assert (either.passed, either.decided) == (True, False), "even shares are as right"
    assert judged(by_turns(3, 1), up(4, 75, 25), up(4, 50, 50)).decided
    assert not judged(by_turns(5, 3), up(4, 85, 15), up(4, 50, 50)).passed, "between the two"


def test_spans_with_hardly_a_gap_are_one() -> None:
    spans = np.array([(0, 10), (11, 20), (25, 30)]) * MS
    assert merged(spans).tolist() == [[0, 20 * MS], [25 * MS, 30 * MS]]
    assert merged(spans[:0]).tolist() == []


def test_shares_that_kernels_of_such_lengths_have_by_themselves_are_told_by_turns() -> None:
    """Nobody schedules: kernels of 3 and of 1 ms in turn, as the policy's 75 and 25 %."""
    times = np.arange(0.0, WHOLE_MS, 4.0)
    ran = [(FIRST, times + 3, 3.0), (SECOND, times + 4, 1.0)]
    tasks = [
        replace(served(of, [(0, WHOLE_MS)], at.tolist(), parts=100), alone_s=ms / 10)
        for of, at, ms in ran
    ]
    assert taken(tasks).share == pytest.approx([0.75, 0.25], abs=0.01)
    check = judged(tasks, up(100, 75, 25))
    assert not check.passed
    assert "turns lasted 3.0 ms" in check.finding
    unknown = judged(tasks, up(8, 75, 25))
    assert (unknown.passed, unknown.decided) == (True, False), "so short a turn tells nothing"


@pytest.mark.parametrize(
    ("lengths", "passed"), [((28, 12), True), ((1, 1), False)], ids=["scheduled", "not scheduled"]
)
@pytest.mark.parametrize("whose", [0, 1])
def test_of_what_a_ring_has_lost_nothing_is_taken_for_a_share(
    whose: int, lengths: tuple[float, float], passed: bool
) -> None:
    policy = create_policy("up")
    policy.set_timeslice(40_000)
    policy.hint_utilization(0, 70)
    policy.hint_utilization(1, 30)
    tasks = by_turns(*lengths)
    marks = tasks[whose].marks
    lost = int(0.7 * len(marks.at_ns))
    late = replace(marks, at_ns=marks.at_ns[lost:], dropped=lost)
    tasks[whose] = replace(tasks[whose], marks=late)
    assert check_turns([given(policy, tasks)], taken(tasks), tasks).passed is passed
