"""Judgement of what a live policy did, against what the pure one foresees."""

from collections.abc import Mapping

import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.platforms.hints import pure_policy
from runner.proof.checks import Check, HeldBack
from runner.proof.on_host import (
    TURNS_NS,
    Phase,
    Rehearsal,
    check_policy,
    foresee,
    suspended,
    waiting_by_turns,
)
from xsched_bindings.host.scheduler import Event
from xsched_bindings.policies import POLICIES

MS = 1_000_000
NAMES = {1: "a", 2: "b", 3: "c"}


def foreseen(
    policy: str,
    *tasks: TaskConfig,
    k: int = 1,
    arm: str = "xsched",
    timeslice_us: int = 5000,
    ready_ms: Mapping[int, float] | None = None,
) -> list[tuple[float, str]]:
    """(from milliseconds, names of the tasks held back)"""
    config = Config()
    config.xsched.policy, config.xsched.k, config.arm.name = policy, k, arm
    config.xsched.timeslice_us = timeslice_us
    config.task_set.tasks = dict(zip("abc", tasks, strict=False))
    trial = resolve(config)
    queues = dict(enumerate(trial.tasks, 1))
    ready_ns = {queue: round((ready_ms or {}).get(queue, 0) * MS) for queue in queues}
    horizon_ns = TURNS_NS if POLICIES[policy].by_turns else None
    phases = foresee(pure_policy(trial, queues), ready_ns, horizon_ns)
    return [
        (phase.from_ns / MS, "".join(sorted(NAMES[queue] for queue in phase.held)))
        for phase in phases
    ]


def due(ms: int) -> TaskConfig:
    return TaskConfig(deadline_us=ms * 1000)


def urgent(laxity_ms: int, priority: int = 1) -> TaskConfig:
    return TaskConfig(laxity_us=laxity_ms * 1000, priority=priority)


PLAIN = TaskConfig()


def test_under_hpf_and_kedf_what_is_foreseen_never_changes() -> None:
    low, high = TaskConfig(priority=1), TaskConfig(priority=2)
    assert foreseen("hpf", low, high, low) == [(0, "ac")]
    assert foreseen("hpf", low, low) == [(0, "")]
    assert foreseen("kedf", due(5), due(3), due(4)) == [(0, "ac")]
    assert foreseen("kedf", due(5), due(3), due(4), k=2) == [(0, "a")]


def test_equal_deadlines_are_foreseen_from_the_order_of_arrival() -> None:
    assert foreseen("kedf", due(5), due(5), ready_ms={1: 2, 2: 0}) == [(0, "a")]
    assert foreseen("kedf", due(5), due(5), ready_ms={1: 0, 2: 2}) == [(0, "b")]


def test_under_lax_everything_runs_until_laxities_are_used_up() -> None:
    assert foreseen("lax", urgent(20), PLAIN) == [(0, ""), (20, "b")]
    assert foreseen("lax", urgent(20), urgent(50), PLAIN, ready_ms={1: 0, 2: 5, 3: 5}) == [
        (0, ""),
        (15, "bc"),
        (50, "c"),
    ]


@pytest.mark.parametrize("policy", ["hpf", "lax"])
def test_under_the_null_control_nothing_is_foreseen(policy: str) -> None:
    assert foreseen(policy, urgent(20), urgent(5, priority=3), arm="xsched_null") == [(0, "")]


@pytest.mark.parametrize(
    ("policy", "priorities", "waiting"),
    [
        ("cfs", (0, 3, 5), 3),
        ("cfs", (0, 200), 1),  # the heavier one never has to wait again
        ("mlfq", (0, 0, 0), 3),
        ("up", (0, 0), 2),
    ],
)
def test_by_turns_as_many_must_wait_as_ever_do(
    policy: str, priorities: tuple[int, ...], waiting: int
) -> None:
    tasks = [TaskConfig(priority=p, utilization=30) for p in priorities]
    phases = [
        Phase(round(at * MS), frozenset(queue for queue in NAMES if NAMES[queue] in held))
        for at, held in foreseen(policy, *tasks)
    ]
    assert waiting_by_turns(phases) == waiting


def test_turns_longer_than_the_rehearsal_leave_one_queue_running() -> None:
    tasks = [TaskConfig(utilization=50)] * 2
    assert foreseen("up", *tasks, timeslice_us=10_000_000) == [(0, "b")]


def event(at_ms: float, name: str, queue: int) -> Event:
    return Event(round(at_ms * MS), name, queue, 0, True)


def judge(
    policy: str,
    foreseen: list[tuple[float, set[int]]],
    log: list[Event],
    intervals: list[HeldBack] | None = None,
    starved: bool = False,
) -> Check:
    rehearsal = Rehearsal(
        {1: "a", 2: "b"},
        [Phase(round(at * MS), frozenset(held)) for at, held in foreseen],
        suspended(log, 0),
        60 * MS,
        starved,
    )
    return check_policy(policy, rehearsal, intervals or [])


def interval(task: str, completed: int = 8) -> HeldBack:
    return HeldBack(task, 0, completed, limit=8, preempted=True)


LAX = [(0.0, set[int]()), (20.0, {2})]
TURNS = [(0.0, {2}), (10.0, {1}), *((float(at), {2 - at % 20 // 10}) for at in range(20, 990, 10))]


@pytest.mark.parametrize(
    ("policy", "foreseen", "log"),
    [
        ("hpf", [(0, {2})], [event(-2, "suspend", 2)]),
        ("kedf", [(0, {2})], [event(0.3, "suspend", 2), event(61, "resume", 2)]),
        ("lax", LAX, [event(20.2, "suspend", 2)]),
        ("lax", LAX, [event(-2, "suspend", 1), event(0.1, "resume", 1), event(21, "suspend", 2)]),
        ("mlfq", TURNS, [event(-5, "suspend", 1), event(29, "resume", 1), event(29, "suspend", 2)]),
        ("up", [(0, {2})], [event(0, "suspend", 1)]),  # the other one came first
        ("hpf", [(0, set())], []),
    ],
)
def test_what_was_foreseen_passes(
    policy: str, foreseen: list[tuple[float, set[int]]], log: list[Event]
) -> None:
    check = judge(policy, foreseen, log)
    assert check.passed, check.finding


@pytest.mark.parametrize(
    ("policy", "foreseen", "log", "says"),
    [
        ("kedf", [(0, {2})], [], "b was never suspended"),
        ("kedf", [(0, {2})], [event(-2, "suspend", 2), event(1, "resume", 2)], "b was never"),
        ("kedf", [(0, {2})], [event(0, "suspend", 1)], "a was suspended without need 30.0 ms"),
        ("kedf", [(0, {2})], [event(50, "suspend", 2)], "b was not suspended 30.0 ms after all"),
        ("lax", LAX, [], "b was never suspended"),
        ("lax", LAX, [event(0, "suspend", 2)], "b was suspended without need 10.0 ms"),
        ("lax", LAX, [event(55, "suspend", 2)], "b was not suspended 40.0 ms"),
        ("lax", [(0, set()), (5, {2}), (6, set())], [], "too short to be seen"),
        ("cfs", TURNS, [], "a was never suspended; b was never suspended"),
        ("cfs", TURNS, [event(0, "suspend", 2)], "a was never suspended"),
        ("cfs", TURNS, [event(0, "suspend", 2), event(61, "suspend", 1)], "a was never"),
        # a waited for a late decision, not for a turn
        (
            "mlfq",
            TURNS,
            [event(-9, "suspend", 1), event(9, "resume", 1), event(9, "suspend", 2)],
            "a",
        ),
        ("up", [(0, {2})], [], "a was never suspended; b was never suspended"),
    ],
)
def test_what_was_not_fails(
    policy: str, foreseen: list[tuple[float, set[int]]], log: list[Event], says: str
) -> None:
    check = judge(policy, foreseen, log)
    assert not check.passed
    assert says in check.finding


def test_a_suspension_that_leaks_fails() -> None:
    held = [event(-2, "suspend", 2)]
    assert judge("hpf", [(0, {2})], held, [interval("b")]).passed
    check = judge("hpf", [(0, {2})], held, [interval("b", 9)])
    assert check.finding == "b: completed 9 commands while suspended, at most 8 may"


def test_a_suspension_under_equal_hints_fails() -> None:
    assert "a was suspended without need" in judge("lax", [(0, set())], [], [interval("a")]).finding


def test_nothing_is_judged_if_a_queue_ran_out_of_work() -> None:
    check = judge("mlfq", TURNS, [], starved=True)
    assert check.finding == "a queue ran out of work before the policy could be judged"
