"""The measured window: what should have run against what ran, what went through the queues, and
what came out. Platforms supply the evidence and do not know what is made of it. What counts, what
does not, and what cannot be seen: docs/proof.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models import ModelSpec
from runner.config.arms import Arm
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.proof.checks import Check, Interception, past_the_queue, undecided
from runner.proof.marks import Marks, Served
from runner.proof.order import (
    LATE_PART,
    against,
    check_nobody_held,
    check_order,
    held_back,
    preemptions,
)
from runner.proof.outputs import check_outputs
from runner.proof.replay import merged
from runner.proof.turns import check_turns, given, taken
from xsched_bindings.policies import POLICIES, Policy

#: The policy with a trial's hints, fresh.
MakePolicy = Callable[[TrialSpec], Policy]


@dataclass(frozen=True)
class Judged:
    """checks: those that the arm is held to. preemptions: requests that were stopped and went on.
    against_policy: share of the time in which the policy, with the tasks' own hints, holds tasks
    back that they went on for. Both are told of any arm, of the lead-in as of the window; None
    where nobody can say. no_effect: that the hints of an arm without XSched did nothing, by the
    test of the null control."""

    checks: tuple[Check, ...] = ()
    preemptions: int | None = None
    against_policy: float | None = None
    no_effect: bool = False


def judge(
    trial: TrialSpec,
    make_policy: MakePolicy,
    requests: Sequence[TaskRequests],
    marks: Sequence[Marks],
    alone: Sequence[Interception],
    solo: Mapping[ModelSpec, float],
) -> Judged:
    """Of all that ran since the common start: scheduling is to be in effect in the lead-in, too.

    requests: of all tasks, in the trial's order. marks: of those that ran. alone: requests with
    nobody beside them. solo: seconds of a request."""
    of = {each.task: each for each in marks}
    device_s = {each.task: each.device_s for each in alone}
    spans = {task.name: task.spans for task in requests}
    completed = {name: len(each) for name, each in spans.items()}
    checks = [check_outputs({each.task: each for each in alone}, marks, completed)]
    if not checks[0].passed:  # then there is nothing to schedule
        return Judged(tuple(checks))
    if trial.uses_xsched:
        checks.append(check_all_queued(marks, completed))
    served = [
        Served(
            task,
            # A queue that has the next request when one ends has had work all along.
            merged(spans[task.name], 0),
            of[task.name],
            solo[task.model],
            busy=(device_s.get(task.name) or solo[task.model]) / solo[task.model],
        )
        for task in trial.tasks
        if task.name in of and completed[task.name]
    ]
    ran = replace(trial, tasks=tuple(each.task for each in served))
    if trial.arm.runs_tasks_alone:
        return Judged(tuple(checks))
    if len(served) < 2:
        if trial.uses_xsched and len(trial.tasks) > 1:
            checks.append(undecided("fewer than two tasks completed a request", {}))
        return Judged(tuple(checks))
    return _scheduled(ran, make_policy, served, checks)


def _scheduled(
    trial: TrialSpec, make_policy: MakePolicy, served: Sequence[Served], checks: list[Check]
) -> Judged:
    """Of tasks that ran side by side."""
    if POLICIES[trial.policy].by_turns:
        if trial.uses_xsched:
            seen = [served, [replace(each, spans=merged(each.spans)) for each in served]]
            should = [given(make_policy(trial), each) for each in seen]
            checks.append(check_turns(should, taken(served), served))
        return Judged(tuple(checks))
    part = 1.0 if trial.platform == "host" else LATE_PART
    held = held_back(make_policy(replace(trial, arm=Arm.xsched)), served, part)
    if trial.uses_xsched and POLICIES[trial.policy].equal_suspends:
        checks.append(check_order(held_back(make_policy(trial), served, part), served))
    elif trial.arm.is_null_control:
        checks.append(check_nobody_held(held))
    elif trial.arm.is_treatment:
        checks.append(check_order(held, served))
    nobody = check_nobody_held(held)
    without = trial.arm.hints_hardware and nobody.decided and nobody.passed
    return Judged(tuple(checks), preemptions(held), against(held), no_effect=without)


def check_all_queued(marks: Sequence[Marks], completed: Mapping[str, int]) -> Check:
    """The queues saw what was executed in the window, as they did before it."""
    faults = []
    for each in marks:
        executed = completed[each.task] * each.commands
        if each.counted is not None and past_the_queue(executed, each.counted):
            faults.append(f"{each.task}: {each.counted} of {executed} commands")
    return Check(
        "intercepted in the window",
        not faults,
        f"the queues did not see what was executed ({', '.join(faults)})"
        if faults
        else f"the queues saw {sum(each.counted or 0 for each in marks)} commands",
        "Nothing that bypasses the queue can be scheduled",
        {each.task: {"counted": each.counted, "a_request": each.commands} for each in marks},
    )
