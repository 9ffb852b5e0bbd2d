"""What a trial came to: its figures, and what a reader must know to read them right."""

import math
from dataclasses import replace

import numpy as np

from runner.config.arms import Streams
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.percentiles import percentiles
from runner.proof.checks import Verdict
from runner.runs.figures import RunFigures, figures
from runner.runs.record import Summary, TaskSummary
from runner.trial.run import TrialResult
from runner.trial.status import Status

#: Below this a set with closed loops was not limited by the device.
SATURATED = 0.8
#: Share of the requests that may start late, and of an offered rate that may be missed.
LATE, MISSED = 0.01, 0.05
#: Share of a core's time that a hypervisor may take before a reader must know of it.
STOLEN = 0.02
#: Requests that may be open when a window ends, however short it is, without having piled up.
IN_PASSING = 4
NOT_APPLIED = "not applied"


def summarise(trial: TrialSpec, result: TrialResult, name: str) -> Summary:
    """summary.json but for places and what was expected. A failed trial has no figures to show."""
    measured = figures(trial, result)
    if result.status is Status.FAILED:
        measured = replace(measured, tasks={}, figures={})
    wrong = faults(trial, result, measured)
    levels = {task.level.name for task in trial.tasks} if trial.uses_xsched else {"none"}
    asked = {task.asked_level.name for task in trial.tasks} if trial.uses_xsched else {"none"}
    said = [*wrong, *notes(trial, result, measured)] if result.status.has_figures else []
    return Summary(
        name=name,
        status=result.status,
        reason=result.reason,
        valid=result.status is Status.FINISHED and not wrong,
        notes=tuple(said),
        task_set=trial.task_set,
        arm=trial.arm,
        platform=trial.platform,
        placement=trial.placement,
        mps=trial.mps,
        policy=trial.policy if trial.uses_xsched else "none",
        level="+".join(sorted(levels)),
        asked_level="+".join(sorted(asked)),
        priority=_priority(trial),
        config_hash=trial.config_hash,
        proof=Verdict.INCOMPLETE if result.status is Status.KILLED else result.proof.verdict,
        preemptions=result.preemptions,
        saturation=None if math.isnan(result.saturation) else result.saturation,
        stolen=result.stolen,
        cut=result.cut,
        steady=not result.unsteady,
        preemption_ms=preemption_latency(result),
        timing_s=result.timing_s,
        device=result.observations.facts,
        window_s=measured.window_s,
        tasks=measured.tasks,
        figures=measured.figures,
    )


def preemption_latency(result: TrialResult) -> dict[str, float]:
    """From a suspension to the queue's quiet, over the probes of the level's proof; empty if there
    were none. Milliseconds."""
    times = [probe.quiet_ms for probe in result.proof.suspensions]
    if not times:
        return {}
    names = ("p50", "p90", "p99", "max")
    shown = dict(zip(names, percentiles(times, 50, 90, 99, 100), strict=True))
    return shown | {"mean": float(np.mean(times))}


def _priority(trial: TrialSpec) -> str:
    """What became of the tasks' priorities."""
    if len(trial.priorities) < 2:
        return "equal"
    return "applied" if trial.arm.applies_priority else NOT_APPLIED


def faults(trial: TrialSpec, result: TrialResult, measured: RunFigures) -> list[str]:
    """Why the figures are not valid: something else than the scheduling made them."""
    stood = [
        f"not valid: {each.who} stood still for {each.seconds:.1f} s of the window"
        for each in result.stood_still
    ]
    if not result.saturation < SATURATED:  # or not known, as of a trial that was interrupted
        return stood
    return stood + [
        f"not valid: {task.name} achieved {found.achieved_rps:.4g} of "
        f"{found.offered_rps:.4g} requests/s offered, and the device was not saturated "
        f"({result.saturation:.2f}): something else limits it"
        for task in trial.tasks
        if (found := measured.tasks.get(task.name)) and _piled_up(task, found)
    ]


def _late(result: TrialResult, measured: RunFigures) -> list[str]:
    """A warning, for such a request waits a millisecond or more that no scheduling made it wait."""
    late = sum(task.late_starts for task in measured.tasks.values())
    count = sum(len(task.completed) for task in result.requests)
    if late <= LATE * count:
        return []
    return [f"{late} of {count} requests started over 1 ms late by the runner's own fault"]


def _piled_up(task: TaskSpec, found: TaskSummary) -> bool:
    """Whether the task was offered more than it completed, by more than a window's end explains."""
    if found.offered_rps is None or found.achieved_rps is None or found.open is None:
        return False
    missed = found.achieved_rps < (1 - MISSED) * found.offered_rps
    return missed and found.open > max(IN_PASSING, task.arrival.burst_size)


def _censored(trial: TrialSpec, measured: RunFigures) -> list[str]:
    """A note that counts the requests that the figures lack, or that had piled up."""
    counts = [
        f"{task.name} {found.open}"
        for task in trial.tasks
        if (found := measured.tasks.get(task.name))
        and found.open
        and (found.requests < found.wanted or _piled_up(task, found))
    ]
    if not counts:
        return []
    return [f"censored, as they were open when the window ended: requests of {', '.join(counts)}"]


def notes(trial: TrialSpec, result: TrialResult, measured: RunFigures) -> list[str]:
    """What a reader must know to read the figures right."""
    found = list(result.observations.notes)
    if trial.arm.streams is Streams.shared and _priority(trial) == NOT_APPLIED:
        found.append("priority not applied: with one stream it is a number in the configuration")
    for task in trial.tasks:
        if trial.uses_xsched and task.level != task.asked_level:
            found.append(
                f"{task.name}: level {task.level.name} in effect, {task.asked_level.name} asked"
            )
    if trial.arm.is_treatment and result.status is not Status.KILLED:
        nothing_about = "this trial says {} about levels or thresholds"
        if result.preemptions == 0:
            found.append(f"nothing was preempted: {nothing_about.format('nothing')}")
        elif result.preemptions is not None and result.preemptions <= len(trial.tasks):
            found.append(
                f"lower queues were suspended once and hardly ever again: "
                f"{nothing_about.format('next to nothing')} (closed loops at the top priority?)"
            )
    flooded = [task.name for task in trial.tasks if (task.arrival.load or 0) > 1]
    if flooded:
        found.append(f"load above 1: the queue of {', '.join(flooded)} grows without bound")
    if result.stolen > STOLEN:
        found.append(
            f"the hypervisor took {result.stolen:.0%} of a CPU core's time in the window: "
            "latencies are its doing, too"
        )
    if result.unsteady:
        found.append(f"not steady after the warm-up: {', '.join(result.unsteady)}")
    closed = any(task.closed for task in trial.tasks)
    if closed and trial.arm.shares_device and result.saturation < SATURATED:
        found.append(
            f"the device was not saturated ({result.saturation:.2f}): a trial that the host "
            "limits cannot show priority"
        )
    if result.cut:
        short = [
            f"{name} {each.requests}/{each.wanted}"
            for name, each in measured.tasks.items()
            if each.requests < each.wanted
        ]
        found.append(f"the window was cut at limit_s={trial.limit_s:g} ({', '.join(short)})")
    return found + _late(result, measured) + _censored(trial, measured)
