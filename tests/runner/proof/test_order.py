"""Traces by hand: who had work when, and which marks it reached. The oracle is the reader's eye,
and not a policy of ours; a policy only says who should have run."""

from dataclasses import replace

import numpy as np
import pytest

from runner.proof import order
from runner.proof.checks import Check
from runner.proof.marks import Served
from runner.proof.order import (
    against,
    check_nobody_held,
    check_order,
    held_back,
    preemptions,
    resumptions,
)
from tests.runner.proof.traces import MS, served, task
from xsched_bindings.policies import Policy, create_policy
from xsched_bindings.types import PreemptLevel

HIGH, LOW = task("high", 1), task("low", 0)
#: The urgent task's requests: ten of 40 ms, 100 ms apart.
URGENT = [(at, at + 40) for at in range(100, 1100, 100)]


def hpf(*priorities: int) -> Policy:
    policy = create_policy("hpf")
    for number, priority in enumerate(priorities):
        policy.hint_priority(number, priority)
    return policy


def marks(stops_after_ms: float | None, ignores: int = 0, goes_on_after_ms: float = 0) -> Served:
    """The lower task reaches a mark a millisecond, but for the urgent requests: after the first
    `ignores` of them it stops so long after their beginning, or never, and goes on after their
    end."""
    times = []
    for at in np.arange(0.5, 1200):
        inside = [
            number
            for number, (begin, end) in enumerate(URGENT)
            if stops_after_ms is not None and begin + stops_after_ms <= at < end + goes_on_after_ms
        ]
        if not inside or inside[0] < ignores:
            times.append(at)
    return served(LOW, [(0, 1200)], times, parts=1200)


def judged(low: Served, *others: Served) -> Check:
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    everybody = [high, low, *others]
    held = held_back(hpf(1, 0), everybody)
    return check_order(held, everybody)


def test_a_task_that_stops_within_what_its_level_lets_through_passes() -> None:
    check = judged(marks(2))
    assert (check.passed, check.decided) == (True, True)
    assert check.evidence["at_stake"] == 10
    assert check.evidence["late"] == 0
    assert check.evidence["against_policy"] == 0
    assert check.evidence["preemptions"] == 10


def test_who_goes_on_when_the_device_is_free_is_not_late_though_the_host_has_not_heard() -> None:
    high = served(HIGH, URGENT, [end - 0.5 for _, end in URGENT], parts=1)
    interrupted = replace(LOW, level=PreemptLevel.interrupt)

    def late(went_on_ms: float) -> int:
        low = served(interrupted, [(0, 1200)], [end - went_on_ms for _, end in URGENT])
        return sum(each.late for each in held_back(hpf(1, 0), [high, low]))

    assert late(went_on_ms=0.2) == 0
    assert late(went_on_ms=0.7) == 10, "the urgent request was not over"


@pytest.mark.parametrize("last_mark", [1, 20, 36])
def test_a_host_that_hears_late_of_an_end_is_no_excuse(last_mark: float) -> None:
    """Or a library could suspend the urgent task when all its commands have run."""
    high = served(HIGH, URGENT, [begin + last_mark for begin, _ in URGENT], parts=1)
    everybody = [high, marks(None)]
    check = check_order(held_back(hpf(1, 0), everybody), everybody)
    assert (check.passed, check.evidence["late"]) == (False, 10)


def test_lost_marks_are_no_excuse() -> None:
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    other = served(task("other", 1), [(b + 1, e + 1) for b, e in URGENT], [], parts=1, dropped=10)
    everybody = [high, other, marks(None)]
    held = held_back(hpf(1, 1, 0), everybody)
    assert sum(each.late for each in held if each.task == "low") == 10


def test_who_goes_on_between_two_requests_of_loops_in_step_is_not_late() -> None:
    begins = np.arange(100, 1100, 40)
    first = [(at, at + 40) for at in begins]
    second = [(begin + 0.05, end + 0.05) for begin, end in first]
    interrupted = replace(LOW, level=PreemptLevel.interrupt)
    everybody = [
        served(HIGH, first, [end - 0.3 for _, end in first], parts=1),
        served(task("other", 1), second, [end - 0.3 for _, end in second], parts=1),
        served(interrupted, [(0, 1200)], [end - 0.1 for _, end in second]),
    ]
    held = held_back(hpf(1, 1, 0), everybody)
    assert sum(each.late for each in held if each.task == "low") <= 1


def test_the_marks_of_a_stretch_that_ends_before_those_it_waits_for_count_all() -> None:
    """They have ended for the judge at no mark of theirs: their parts may be long."""
    interrupted = replace(LOW, level=PreemptLevel.interrupt)
    high = served(HIGH, [(100, 140)], [106, 140], parts=2)
    low = served(interrupted, [(105, 125)], [107, 125], parts=2)
    (held,) = held_back(hpf(1, 0), [high, low])
    assert (held.until_ns, held.late) == (125 * MS, True)


def test_a_decision_may_take_its_time() -> None:
    check = judged(marks(2.8))  # two marks are the level's, one the delay's
    assert check.passed
    assert check.evidence["median_delay_ms"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("low", "says"),
    [
        (marks(None), "low went on in 10 of 10 stretches in which high should have run"),
        (marks(2, ignores=5), "low went on in 5 of 10"),
        (marks(6), "stopped 4 ms late at the median"),
        (marks(52), "low went on in 10 of 10"),
        (marks(2, goes_on_after_ms=50), "tasks went on 50 ms late at the median"),
    ],
    ids=["inert", "every second", "slow", "50 ms late", "resumes late"],
)
def test_what_is_not_the_policy_is_refused(low: Served, says: str) -> None:
    check = judged(low)
    assert not check.passed
    assert says in check.finding


@pytest.mark.parametrize(
    ("lets_through", "passes"), [(2, False), (6, False), (7, True), (16, True)]
)
def test_a_task_that_is_held_to_less_than_was_asked_is_refused(
    lets_through: int, passes: bool
) -> None:
    """At 16/4 some suspensions let 7 commands through; a mark may hide one more."""
    strict = replace(LOW, threshold=16, batch_size=4)
    low = replace(marks(lets_through - 1), task=strict)
    check = judged(low)
    assert check.passed is passes
    if not passes:
        assert "low completed after 10 suspensions, and some let 7 or more" in check.finding


def test_a_few_late_decisions_are_a_busy_machine() -> None:
    assert judged(marks(2, ignores=2)).passed
    assert not judged(marks(2, ignores=3)).passed, "a quarter of the time"


def test_the_last_fifth_of_many_is_not() -> None:
    assert order.more_than(0.05, 10, 50)
    assert not order.more_than(0.05, 6, 50)
    assert not order.more_than(0.05, 2, 5)
    assert order.more_than(0.05, 2, 2)
    assert not order.more_than(0.05, 1, 1)
    assert not order.more_than(0.05, 0, 0)


def test_stretches_may_be_hundreds_of_thousands() -> None:
    assert order.more_than(0.05, 10_300, 200_000)
    assert not order.more_than(0.05, 10_100, 200_000)
    assert order.more_than(0.05, 200_000, 200_000)


def test_one_lost_hint_of_three_is_found_though_others_are_kept() -> None:
    """The lowest task stops for the urgent one, and never for the middle one."""
    middle = task("middle", 1)
    urgent = [(at, at + 40) for at in range(0, 2000, 100)]
    beside = [(at + 50, at + 90) for at in range(0, 200, 100)]
    low = [at for at in np.arange(0.5, 2000) if at % 100 >= 40]
    everybody = [
        served(task("high", 2), urgent, [end for _, end in urgent], parts=1),
        served(middle, beside, [end for _, end in beside], parts=1),
        served(LOW, [(0, 2000)], low, parts=2000),
    ]
    check = check_order(held_back(hpf(2, 1, 0), everybody), everybody)
    assert "low went on in 2 of 2 stretches in which middle should have run" in check.finding
    assert not check.passed


def test_inverted_priorities_are_refused_though_they_make_few_suspensions() -> None:
    """After five requests the urgent task waits for one that never stops."""
    low = [
        at for at in np.arange(0.5, 3000) if not any(b + 2 <= at < b + 40 for b, _ in URGENT[:5])
    ]
    spans = [*URGENT[:5], (600, 2990)]
    everybody = [
        served(HIGH, spans, [end for _, end in spans], parts=1),
        served(LOW, [(0, 3000)], low, parts=len(low)),
    ]
    held = held_back(hpf(1, 0), everybody)
    assert [each.late for each in held] == [False] * 5 + [True]
    check = check_order(held, everybody)
    assert not check.passed
    assert "low went on for 2.39 s, 92% of the time that it should wait" in check.finding


@pytest.mark.parametrize("count", [0, 1])
def test_too_little_at_stake_is_not_decidable(count: int) -> None:
    high = served(HIGH, URGENT[:count], [end for _, end in URGENT[:count]], parts=1)
    everybody = [high, marks(None)]
    check = check_order(held_back(hpf(1, 0), everybody), everybody)
    assert (check.passed, check.decided) == (True, False)
    assert f"held tasks back {count} times" in check.finding


def test_what_a_level_explains_is_not_at_stake() -> None:
    """Requests of 8 ms: a native task beside them reaches four marks, of which two are allowed."""
    short = [(at, at + 8) for at in range(100, 1100, 100)]
    high = served(HIGH, short, [end for _, end in short], parts=1)
    held = held_back(hpf(1, 0), [high, marks(None)])
    assert len(held) == 10
    assert not any(each.at_stake for each in held)
    assert against(held) is None


def test_marks_that_the_ring_lost_show_nothing() -> None:
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    late = np.arange(850.5, 1200).tolist()
    low = served(LOW, [(0, 1200)], late, parts=1200, dropped=850)
    held = held_back(hpf(1, 0), [high, low])
    assert sum(each.at_stake for each in held) == 2, "those of 900 and 1000 ms"


def test_a_preemption_is_a_request_that_was_stopped_and_went_on() -> None:
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    # In flight at the first urgent request, and ended by the end of the second.
    low = served(
        LOW,
        [(0, 230)],
        [at for at in np.arange(0.5, 230) if not 102 <= at < 140 and not at >= 202],
        parts=230,
    )
    held = held_back(hpf(1, 0), [high, low])
    assert len(held) == 2
    assert preemptions(held) == 1
    assert preemptions(held_back(hpf(1, 0), [high, marks(None)])) == 0, "nor where nobody stopped"


def test_a_request_that_did_not_go_on_between_two_was_stopped_once() -> None:
    """Urgent requests follow each other so soon that nobody is let go between them."""
    spans = [(100, 140), (140.1, 180), (180.1, 220)]
    high = served(HIGH, spans, [end for _, end in spans], parts=1)
    low = [at for at in np.arange(0.5, 300) if not 102 <= at < 220]
    held = held_back(hpf(1, 0), [high, served(LOW, [(0, 300)], low, parts=300)])
    assert len(held) == 3
    assert preemptions(held) == 1


def test_under_equal_hints_nobody_may_be_held_back() -> None:
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    free = held_back(hpf(1, 0), [high, marks(None)])
    assert check_nobody_held(free).passed
    check = check_nobody_held(held_back(hpf(1, 0), [high, marks(2)]))
    assert not check.passed
    assert "they stopped in 10" in check.finding
    few = check_nobody_held(free[:6])
    assert (few.passed, few.decided) == (True, False)


def test_a_stretch_is_told_by_its_ends_and_by_who_ran_instead() -> None:
    high = served(HIGH, [(100, 140)], [140], parts=1)
    low = served(LOW, [(0, 300)], [99, 145], parts=300)
    (only,) = held_back(hpf(1, 0), [high, low])
    assert (only.from_ns, only.until_ns) == (100 * MS, 140 * MS)
    assert only.by == ("high",)
    assert only.on_ns == 145 * MS


def test_who_may_go_on_for_a_moment_only_is_not_late() -> None:
    """The urgent task goes from one request to the next: a device that is not fast enough."""
    spans = [(at, at + 39.9) for at in range(100, 1100, 40)]
    high = served(HIGH, spans, [end for _, end in spans], parts=1)
    low = served(LOW, [(0, 1200)], [at for at in range(1200) if not 100 <= at < 1100], parts=1200)
    held = held_back(hpf(1, 0), [high, low])
    assert len(held) == 25
    assert len(resumptions(held)) == 1
    assert check_order(held, [high, low]).passed


def test_on_gpus_short_stretches_have_short_delays() -> None:
    """Urgent requests of 3 ms: by a rule of 2 ms nobody could say, by one of a fifth a task that
    goes on for more than a millisecond was not stopped."""
    urgent = [(at, at + 3) for at in range(10, 410, 20)]
    high = served(HIGH, urgent, [end for _, end in urgent], parts=1)
    for goes_on_ms, passes in ((0.3, True), (1.2, False)):
        times = [
            at
            for at in np.arange(0.05, 420, 0.1)
            if not any(begin + goes_on_ms < at < end for begin, end in urgent)
        ]
        low = replace(served(LOW, [(0, 420)], times, parts=4200), alone_s=0.42)
        assert not check_order(held_back(hpf(1, 0), [high, low]), [high, low]).decided
        check = check_order(held_back(hpf(1, 0), [high, low], part=0.2), [high, low])
        assert (check.passed, check.decided) == (passes, True)
        assert passes or "low went on in 20 of 20" in check.finding


def test_between_requests_that_begin_together_others_may_have_the_device() -> None:
    """Two urgent closed loops that keep in step: a scheduler sees both without work for a moment,
    and lets the lower task go on for what its level lets through."""
    first = [(at, at + 39.99) for at in range(0, 1200, 40)]
    second = [(at + 0.005, at + 39.995) for at in range(0, 1200, 40)]
    urgent = [served(HIGH, each, [end for _, end in each], parts=1) for each in (first, second)]
    urgent[1] = replace(urgent[1], task=replace(HIGH, name="high-2"))
    for goes_on_ms, passes in ((2, True), (20, False)):
        times = [at for at in np.arange(0.5, 1200) if at % 40 < goes_on_ms]
        everybody = [*urgent, served(LOW, [(0, 1200)], times, parts=1200)]
        held = held_back(hpf(1, 1, 0), everybody)
        assert sum(each.at_stake for each in held) == 30
        assert check_order(held, everybody).passed is passes


def test_a_queue_that_the_host_lets_run_dry_tells_nothing_of_the_policy() -> None:
    """Launched so slowly that the device works for a third of the request: the scheduler sees no
    work between two commands, and the lower task goes on as it should."""
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    for busy, decided in ((0.9, True), (0.33, False)):
        everybody = [replace(high, busy=busy), marks(None)]
        check = check_order(held_back(hpf(1, 0), everybody), everybody)
        assert (check.passed, check.decided) == (not decided, decided)
    assert "the host lets queues run dry (alone high keeps the device at work 33%" in check.finding
    assert "low went on in 10 of 10" in check.finding
    obeyed = [replace(high, busy=0.33), marks(2)]
    assert check_order(held_back(hpf(1, 0), obeyed), obeyed).decided, "priorities did show"


def test_another_stretch_begins_with_those_who_should_run_and_with_nobody_else() -> None:
    """The lower task's own requests, which end and begin all the time, are no such moment."""
    high = served(HIGH, URGENT, [end for _, end in URGENT], parts=1)
    spans = [(at / 4, (at + 1) / 4) for at in range(4800)]
    low = replace(marks(None), spans=served(LOW, spans, []).spans)
    held = held_back(hpf(1, 0), [high, low])
    assert [each.from_ns for each in held] == [begin * MS for begin, _ in URGENT]


def test_of_several_requests_in_flight_each_may_have_commands_let_through() -> None:
    """Of three commands a request, six may follow at 16/8 with two in flight: of both."""
    deep = replace(task("low"), threshold=16, batch_size=8)
    small = served(deep, [(0, 100)], [1, 2, 3], parts=3)
    assert small.lets_through == 3
    two = replace(deep, arrival=replace(deep.arrival, in_flight=2))
    assert replace(small, task=two).lets_through == 6
