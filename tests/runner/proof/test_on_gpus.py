"""Evidence as GPUs leave it, made by hand, and what must be said of it."""

import dataclasses
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.config.spec import TaskSpec
from runner.proof.checks import check_policy
from runner.proof.on_gpus import (
    Course,
    Served,
    certain_commands,
    check_server,
    check_shares,
    check_turns,
    check_window,
    hpf_intervals,
    merged,
    preemptions,
    standing_still,
)

MS = 1_000_000
UNIT = MS  # a unit a millisecond


def tasks(**priorities: int) -> list[TaskSpec]:
    config = Config()
    model = ModelOverride(name="synthetic", size=10, work_us=500)
    config.task_set.tasks = {
        name: TaskConfig(priority=p, model=model) for name, p in priorities.items()
    }
    return list(resolve(config).tasks)


def course(name: str, began_ms: int, *spans: tuple[int, int]) -> Course:
    """Completes a unit every millisecond within the spans; looked at as often."""
    done = {ms for begin, end in spans for ms in range(begin + 1, end + 1)}
    at = range(1, max(done) + 1)
    units = tuple(accumulate(ms in done for ms in at))
    return Course(name, began_ms * MS, at[-1] * MS, tuple(ms * MS for ms in at), units, len(done))


LOW_WAITS = [course("high", 10, (10, 60)), course("low", 0, (0, 12), (60, 100))]
LOW_GOES_ON = [course("high", 10, (10, 60)), course("low", 0, (0, 100))]


def judged(courses: list[Course], **priorities: int) -> Any:
    specs = tasks(**priorities)
    top = max(priorities.values())
    lower = [name for name, priority in priorities.items() if priority < top]
    return check_policy("hpf", lower, hpf_intervals(specs, courses))


def test_a_lower_task_that_waits_proves_the_policy() -> None:
    assert judged(LOW_WAITS, high=2, low=1).passed


def test_a_lower_task_that_goes_on_does_not() -> None:
    check = judged(LOW_GOES_ON, high=2, low=1)
    assert not check.passed
    assert "low: completed" in check.finding


def test_a_lower_task_that_was_done_before_shows_nothing() -> None:
    early = [LOW_WAITS[0], course("low", 0, (0, 9))]
    assert "low was never suspended" in judged(early, high=2, low=1).finding


def test_middle_priorities_wait_for_the_top_and_hold_back_the_bottom() -> None:
    courses = [
        course("top", 10, (10, 60)),
        course("middle", 0, (0, 12), (60, 100)),
        course("bottom", 0, (0, 1), (100, 150)),
    ]
    assert judged(courses, top=3, middle=2, bottom=1).passed
    courses[2] = course("bottom", 0, (0, 1), (60, 110))  # runs beside the middle
    assert "bottom" in judged(courses, top=3, middle=2, bottom=1).finding


def test_equal_hints_must_let_everybody_work() -> None:
    assert standing_still(LOW_GOES_ON) == []
    assert [interval.task for interval in standing_still(LOW_WAITS)] == ["low"]


def test_turns_are_told_from_working_side_by_side() -> None:
    by_turns = [
        course("a", 0, (0, 10), (20, 30), (40, 50)),
        course("b", 0, (10, 20), (30, 40), (50, 60)),
    ]
    side_by_side = [course("a", 0, (0, 30)), course("b", 0, (0, 30))]
    assert check_turns(by_turns, UNIT / 1e9).passed
    assert not check_turns(side_by_side, UNIT / 1e9).passed


@pytest.mark.parametrize(("units", "commands"), [(0, 0), (1, 1), (4, 7)])
def test_only_what_surely_completed_is_held_against_a_queue(units: int, commands: int) -> None:
    assert certain_commands(units) == commands


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple))


@given(SPANS)
def test_merged_spans_cover_the_same_points_and_never_touch(spans: list[tuple[int, int]]) -> None:
    joined = merged(spans)
    assert all(a[1] < b[0] for a, b in pairwise(joined))
    for point in np.arange(0, 50, 0.5):
        inside = any(begin < point < end for begin, end in joined)
        was = any(begin < point < end for begin, end in spans)
        assert inside >= was
    assert sum(e - b for b, e in joined) <= sum(e - b for b, e in spans)


# --- the window ----------------------------------------------------------------------------------


def served(spec: TaskSpec, starts_ms: list[int], length_ms: int, device_ms: float) -> Served:
    started = np.array(starts_ms, np.int64) * MS
    return Served(spec, started, started + length_ms * MS, device_ms / 1e3, commands=160)


def window(low_starts: list[int], low_length: int) -> list[Served]:
    """An urgent request of 40 ms every 100, and a task below it whose requests take 40 alone."""
    high, low = tasks(high=2, low=1)
    return [
        served(high, list(range(0, 1000, 100)), 40, 40),
        served(low, low_starts, low_length, 40),
    ]


def test_work_that_fits_the_time_left_keeps_priorities() -> None:
    # 600 ms are left in ten gaps; 14 requests of 40 ms are 560.
    kept = window([n * 70 for n in range(14)], 70)
    assert check_window(kept, 1000 * MS).passed


def test_work_that_does_not_fit_gives_a_leak_away() -> None:
    leaking = window([n * 40 for n in range(25)], 40)
    check = check_window(leaking, 1000 * MS)
    assert not check.passed
    assert "low completed 1.00 s of device time" in check.finding


def test_preemptions_are_urgent_requests_that_meet_a_lower_one_at_work() -> None:
    assert preemptions(window([50, 250], 100)) == 2  # at 100 ms and at 300
    assert preemptions(window([50, 250], 40)) == 0


def test_shares_are_judged_against_the_entitlement() -> None:
    config = Config()
    config.task_set.tasks = {
        "a": TaskConfig(utilization=75, model=ModelOverride(name="synthetic", size=10)),
        "b": TaskConfig(utilization=25, model=ModelOverride(name="synthetic", size=10)),
    }
    a, b = resolve(config).tasks
    fair = [served(a, [0] * 75, 1, 10), served(b, [0] * 25, 1, 10)]
    assert check_shares(fair).passed
    unfair = [served(a, [0] * 50, 1, 10), served(b, [0] * 50, 1, 10)]
    assert "a had 0.50 of the device time, entitled to 0.75" in check_shares(unfair).finding


# --- the server ----------------------------------------------------------------------------------

ASKED = [
    {"task": name, "pid": pid, "level": 1, "threshold": 8, "batch_size": 4}
    for name, pid in (("a", 11), ("b", 12))
]


def found(**changes: int) -> list[dict[str, int]]:
    first = {"pid": 11, "level": 1, "threshold": 8, "batch_size": 4, "device": 7}
    return [first, first | {"pid": 12} | changes]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "the server has 2 queues on one device, as asked"),
        ({"threshold": 16}, "b: threshold 16 for 8"),
        ({"device": 8}, "the queues are on 2 devices"),
        ({"pid": 13}, "b: the server knows 0 queues"),
    ],
)
def test_the_servers_view_is_compared_with_what_was_asked(
    changes: dict[str, int], says: str
) -> None:
    check = check_server(ASKED, found(**changes))
    assert says in check.finding
    assert check.passed is (not changes)


def test_a_course_counts_what_completed_within_a_span() -> None:
    one = course("a", 0, (0, 10))
    assert one.completed((2 * MS, 5 * MS)) == 3
    assert one.pending(5 * MS)
    assert not one.pending(10 * MS)
    assert one.longest_standstill((0, 10 * MS)) == 0


def test_a_standstill_is_what_was_looked_at() -> None:
    """A busy machine may keep from looking, and that is no standstill of the queue's."""
    waits = course("a", 0, (0, 10), (40, 50))
    assert waits.longest_standstill((0, 50 * MS)) == 30 * MS
    seldom = dataclasses.replace(waits, at_ns=waits.at_ns[::15], units=waits.units[::15])
    assert seldom.units == (1, 10, 10, 16)
    assert seldom.longest_standstill((0, 50 * MS)) == 15 * MS
    never = dataclasses.replace(waits, at_ns=waits.at_ns[::45], units=waits.units[::45])
    assert never.longest_standstill((0, 50 * MS)) == 0
