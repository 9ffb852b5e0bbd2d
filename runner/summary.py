"""summary.json: the figures of a run, and what a reader must know to read them right."""

from typing import Any

from runner import statistics
from runner.proof import INCOMPLETE
from runner.spec import TrialSpec
from runner.trial import FAILED, KILLED, TrialResult

#: Below this a set with closed loops was not limited by the device.
SATURATED = 0.8
NOT_APPLIED = "not applied"


def summarise(trial: TrialSpec, result: TrialResult) -> dict[str, Any]:
    """summary.json but for names and places. A failed trial has no figures to show."""
    measured = statistics.summarise(trial, result.requests, result.solo)
    if result.status == FAILED:
        measured |= {"tasks": {}, "priorities": {}}
    levels = {task.level.name for task in trial.tasks} if trial.uses_xsched else {"none"}
    asked = {task.asked_level.name for task in trial.tasks} if trial.uses_xsched else {"none"}
    return {
        "schema": 1,
        "status": result.status,
        "reason": result.reason,
        "arm": trial.arm,
        "platform": trial.platform,
        "placement": trial.placement,
        "policy": trial.policy if trial.uses_xsched else "none",
        "level": "+".join(sorted(levels)),
        "asked_level": "+".join(sorted(asked)),
        "priority": _priority(trial),
        "config_hash": trial.config_hash,
        "proof": INCOMPLETE if result.status == KILLED else result.proof.verdict,
        "preemptions": result.preemptions,
        "saturation": result.saturation,
        "cut": result.cut,
        "timing_s": result.timing_s,
        "notes": notes(trial, result, measured) if result.status != FAILED else [],
        "device": result.observations.facts,
    } | measured


def _priority(trial: TrialSpec) -> str:
    """What became of the tasks' priorities."""
    if len(trial.priorities) < 2:
        return "equal"
    return "applied" if trial.applies_priority else NOT_APPLIED


def notes(trial: TrialSpec, result: TrialResult, measured: dict[str, Any]) -> list[str]:
    """What a reader must know to read the figures right."""
    found = list(result.observations.notes)
    if trial.arm == "default_stream" and _priority(trial) == NOT_APPLIED:
        found.append("priority not applied: with one stream it is a number in the configuration")
    for task in trial.tasks:
        if trial.uses_xsched and task.level != task.asked_level:
            found.append(
                f"{task.name}: level {task.level.name} in effect, {task.asked_level.name} asked"
            )
    if trial.arm == "xsched" and result.status != KILLED:
        nothing_about = "this trial says {} about levels or thresholds"
        if result.preemptions == 0:
            found.append(f"nothing was preempted: {nothing_about.format('nothing')}")
        elif result.preemptions is not None and result.preemptions <= len(trial.tasks):
            found.append(
                f"lower queues were suspended once and hardly ever again: "
                f"{nothing_about.format('next to nothing')} (closed loops at the top priority?)"
            )
    closed = any(task.load is None for task in trial.tasks)
    if closed and trial.arm not in ("solo", "urgent_only") and result.saturation < SATURATED:
        found.append(
            f"the device was not saturated ({result.saturation:.2f}): a trial that the host "
            "limits cannot show priority"
        )
    if result.cut:
        short = [
            f"{name} {task['requests']}/{task['wanted']}"
            for name, task in measured["tasks"].items()
            if task["requests"] < task["wanted"]
        ]
        found.append(f"the window was cut at limit_s={trial.limit_s:g} ({', '.join(short)})")
    late = sum(task["late_starts"] for task in measured["tasks"].values())
    count = sum(len(task.completed) for task in result.requests)
    if late > 0.01 * count:
        found.append(f"{late} of {count} requests started over 1 ms late by the runner's own fault")
    return found
