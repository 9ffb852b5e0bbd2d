"""The window's judgement as a whole: which checks a trial is held to."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models import ModelSpec
from runner.config.arms import Arm
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.hints import pure_policy
from runner.proof.checks import Interception
from runner.proof.marks import Marks
from runner.proof.window import Judged, judge
from tests.runner.proof.traces import MS

#: Ten requests of 40 ms, 100 ms apart, beside one that takes all of the window.
URGENT = [(at, at + 40) for at in range(100, 1100, 100)]
WHOLE = 1200


def trial(arm: str = "xsched", policy: str = "hpf", low: int = 0) -> TrialSpec:
    config = Config()
    config.platform.name, config.arm.name = "host", arm
    config.xsched.policy, config.xsched.threshold, config.xsched.batch_size = policy, 2, 1
    config.model.name = "synthetic"
    config.task_set.tasks = {
        "high": TaskConfig(priority=1, utilization=75, deadline_us=50_000),
        "low": TaskConfig(priority=low, utilization=25, deadline_us=5_000_000),
    }
    spec = resolve(config)
    return replace(spec, scheduler="local", placement="threads")


def cut(task: TaskRequests, lead_in_ms: int, forget: bool) -> TaskRequests:
    """The same requests, of which those that arrived before are the lead-in's. forget: that they
    were."""
    rows = np.stack([task.scheduled, task.started, task.completed], axis=1) - lead_in_ms * MS
    before = int((rows[:, 0] < 0).sum())
    return replace(
        task,
        scheduled=rows[before:, 0],
        started=rows[before:, 1],
        completed=rows[before:, 2],
        warmup=rows[:before],
        start_ns=lead_in_ms * MS,
        lead_in=0 if forget else before,
    )


def judged(
    spec: TrialSpec,
    kept: bool = True,
    counted: int = 1_000_000,
    lead_in_ms: int = 0,
    forget: bool = False,
    nobody_urgent: bool = False,
    **marks: Any,
) -> Judged:
    """kept: whether the lower task stops while the urgent one has work. nobody_urgent: it has
    none."""
    begun = np.array([begin for begin, _ in URGENT]) * MS
    if nobody_urgent:
        begun = begun[:0]
    ended = begun + 40 * MS
    none = np.zeros((0, 3), np.int64)
    whole = np.array([WHOLE * MS])
    requests = [
        TaskRequests("high", 1, 10, begun, begun, ended, none),
        TaskRequests("low", 0, 1, whole * 0, whole * 0, whole, none),
    ]
    times = np.arange(0.5, WHOLE)
    if kept:
        times = times[[not any(b + 2 <= at < e for b, e in URGENT) for at in times]]
    at_ns = (times * MS).astype(np.int64)
    queue = counted if spec.uses_xsched else None
    low = {"parts": len(at_ns), "commands": len(at_ns), "at_ns": at_ns} | marks
    return judge(
        spec,
        lambda of: pure_policy(of, dict(enumerate(of.tasks))),
        [cut(each, lead_in_ms, forget) for each in requests],
        [
            Marks("high", 1, 40, ended, np.zeros(0), counted=queue),
            Marks("low", results=np.zeros(0), counted=queue, **low),
        ],
        [Interception("high", 40, 40), Interception("low", len(at_ns), len(at_ns))],
        {ModelSpec(**each.model.as_dict()): 1.2 for each in spec.tasks},
    )


def test_what_ran_in_the_lead_in_is_judged_with_the_rest() -> None:
    """Cut at 550 ms, in one request of each task: the same judgement of the same marks."""
    whole = judged(trial())
    led_in = judged(trial(), lead_in_ms=550)
    assert led_in == whole
    assert not judged(trial(), kept=False, lead_in_ms=550).checks[-1].passed
    forgotten = judged(trial(), lead_in_ms=550, forget=True).checks[0]
    assert not forgotten.passed
    assert "high: 5 requests ended, and the device completed the work of 10" in forgotten.finding


def names(found: Judged) -> list[str]:
    return [check.name for check in found.checks]


def test_xsched_is_held_to_its_policy() -> None:
    found = judged(trial())
    assert names(found) == ["outputs", "intercepted in the window", "window"]
    assert all(check.passed and check.decided for check in found.checks)
    assert (found.preemptions, found.against_policy) == (10, 0)
    assert not judged(trial(), kept=False).checks[-1].passed


def test_others_are_measured_by_the_same_policy_and_held_to_nothing() -> None:
    found = judged(trial("native"), kept=False)
    assert names(found) == ["outputs"]
    assert found.preemptions == 0
    assert found.against_policy == pytest.approx(0.95, abs=0.03)


def test_under_equal_hints_tasks_must_not_be_held_back() -> None:
    assert judged(trial("xsched_null"), kept=False).checks[-1].passed
    assert not judged(trial("xsched_null"), kept=True).checks[-1].passed


def test_equal_priorities_hold_nobody_back_which_nothing_can_show() -> None:
    check = judged(trial(low=1), kept=False).checks[-1]
    assert (check.name, check.passed, check.decided) == ("window", True, False)
    assert "held tasks back 0 times" in check.finding


@pytest.mark.parametrize("policy", ["kedf", "hpf"])
def test_policies_that_go_by_the_state_of_queues_are_replayed(policy: str) -> None:
    assert judged(trial(policy=policy)).checks[-1].passed
    assert not judged(trial(policy=policy), kept=False).checks[-1].passed


def test_equal_priorities_do_not_excuse_a_policy_that_goes_by_more() -> None:
    """Under lax who waits for ten seconds is not critical, and is held back."""
    made, laxity_us = trial(low=1), {"high": 0, "low": 10_000_000}
    tasks = [replace(task, hints=(("laxity_us", laxity_us[task.name]),)) for task in made.tasks]
    spec = replace(made, policy="lax", tasks=tuple(tasks))
    assert judged(spec).checks[-1].passed
    assert not judged(spec, kept=False).checks[-1].passed


def test_a_window_in_which_one_task_alone_completed_requests_shows_nothing() -> None:
    spec = trial()
    found = judged(spec, nobody_urgent=True)
    check = found.checks[-1]
    assert (check.name, check.passed, check.decided) == ("window", True, False)
    assert "fewer than two tasks" in check.finding
    assert names(judged(trial("native"), nobody_urgent=True)) == ["outputs"]
    alone = judged(replace(spec, tasks=spec.tasks[1:]), nobody_urgent=True)
    assert "window" not in names(alone), "it is measured for its level alone"


def test_policies_that_take_turns_are_judged_by_shares() -> None:
    found = judged(trial(policy="up"), kept=False)
    assert not found.checks[-1].passed
    assert "the policy gives" in found.checks[-1].finding
    assert (found.preemptions, found.against_policy) == (None, None)


def test_commands_past_the_queue_in_the_window_are_found() -> None:
    check = judged(trial(), counted=380).checks[1]
    assert not check.passed
    assert "high: 380 of 400 commands" in check.finding


def test_nothing_is_said_of_tasks_that_ran_one_after_another() -> None:
    found = judged(trial("solo"), kept=False)
    assert (names(found), found.preemptions, found.against_policy) == (["outputs"], None, None)


def test_arms_that_there_are() -> None:
    for arm in Arm:
        judged(trial(str(arm)))


def test_a_queue_that_has_the_next_request_at_once_has_had_work_all_along() -> None:
    """Two requests in flight: under lax they are critical once the queue has been ready for 60 ms,
    and not each for itself."""
    made = trial(low=1)
    laxity_us = {"high": 60_000, "low": 0}
    tasks = [
        replace(task, priority=2 - number, hints=(("laxity_us", laxity_us[task.name]),))
        for number, task in enumerate(made.tasks)
    ]
    spec = replace(made, policy="lax", tasks=tuple(tasks))
    begun = np.arange(0, 400, 40) * MS
    whole, none = np.array([WHOLE * MS]), np.zeros((0, 3), np.int64)
    low = (np.r_[0.5:60, 401:WHOLE] * MS).astype(np.int64)
    found = judge(
        spec,
        lambda of: pure_policy(of, dict(enumerate(of.tasks))),
        [
            TaskRequests("high", 2, 10, begun, begun, begun + 40 * MS, none),
            TaskRequests("low", 1, 1, whole * 0, whole * 0, whole, none),
        ],
        [
            Marks("high", 1, 40, begun + 40 * MS, np.zeros(0), counted=400),
            Marks("low", len(low), len(low), low, np.zeros(0), counted=len(low)),
        ],
        [Interception("high", 40, 40), Interception("low", len(low), len(low))],
        {ModelSpec(**each.model.as_dict()): 1.2 for each in spec.tasks},
    )
    assert found.checks[-1].passed, found.checks[-1].finding
    assert found.against_policy == pytest.approx(0, abs=0.01)
