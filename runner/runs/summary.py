"""What a trial came to: its figures, and what a reader must know to read them right."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from models import CATALOG
from runner.config.arms import Streams
from runner.config.resolve import GPU_NAMES
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
#: What others may take of the device's cores, and of all cores in all.
OTHERS_ON_DEVICE, OTHERS = 0.05, 0.5
#: Requests that may be open when a window ends, however short it is, without having piled up.
IN_PASSING = 4
NOT_APPLIED = "not applied"
#: Notes of a run whose figures lack requests begin so: those that took longest, as a rule.
CUT, CENSORED = "the window was cut", "censored"
LACKING = (CUT, CENSORED)


def summarise(trial: TrialSpec, result: TrialResult, name: str) -> Summary:
    """summary.json but for places and what was expected. A failed trial has no figures to show."""
    measured = figures(trial, result)
    if result.status is Status.FAILED:
        measured = replace(measured, tasks={}, figures={})
    wrong = list(faults(trial, result, measured))
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
        against_policy=result.against_policy,
        saturation=None if math.isnan(result.saturation) else result.saturation,
        stolen=result.stolen,
        other_load=result.other_load,
        pace_us=result.pace_us,
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
    times = [probe.quiet_ms for probe in result.proof.suspensions if not probe.disturbed]
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


def faults(trial: TrialSpec, result: TrialResult, measured: RunFigures) -> Iterator[str]:
    """Why the figures are not valid: something else than the scheduling made them."""
    for check in result.proof.checks:
        if not check.decided:
            yield f"no result about scheduling: {check.finding}. {check.remedy}"
    for each in result.stood_still:
        yield f"not valid: {each.who} stood still for {each.seconds:.1f} s of the window"
    if not result.saturation < SATURATED:  # or not known, as of a trial that was interrupted
        return
    for task in trial.tasks:
        if (found := measured.tasks.get(task.name)) and _piled_up(task, found):
            yield (
                f"not valid: {task.name} achieved {found.achieved_rps:.4g} of "
                f"{found.offered_rps:.4g} requests/s offered, and the device was not saturated "
                f"({result.saturation:.2f}): something else limits it"
            )


def _piled_up(task: TaskSpec, found: TaskSummary) -> bool:
    """Whether the task was offered more than it completed, by more than a window's end explains."""
    if found.offered_rps is None or found.achieved_rps is None or found.open is None:
        return False
    missed = found.achieved_rps < (1 - MISSED) * found.offered_rps
    return missed and found.open > max(IN_PASSING, task.arrival.burst_size)


def _graphs_help(trial: TrialSpec) -> str:
    """Who launches operator by operator on a GPU can launch less."""
    launched = [t.model for t in trial.tasks if not (t.model.graphs or CATALOG[t.model.name].bare)]
    helps = trial.platform in GPU_NAMES and launched
    return "; model.graphs=N gives a GPU whole graphs to launch" if helps else ""


def notes(trial: TrialSpec, result: TrialResult, measured: RunFigures) -> Iterator[str]:
    """What a reader must know to read the figures right."""
    yield from result.observations.notes
    if trial.arm.streams is Streams.shared and _priority(trial) == NOT_APPLIED:
        yield "priority not applied: with one stream it is a number in the configuration"
    if result.no_effect:
        yield (
            "no effect seen of what the hardware was told: tasks went on for "
            f"{result.against_policy:.0%} of the time for which {trial.policy} would hold them back"
        )
    for task in trial.tasks:
        if trial.uses_xsched and task.level != task.asked_level:
            yield f"{task.name}: level {task.level.name} in effect, {task.asked_level.name} asked"
    if trial.arm.is_treatment and result.status is not Status.KILLED:
        nothing_about = "this trial says {} about levels or thresholds"
        if result.preemptions == 0:
            yield f"nothing was preempted: {nothing_about.format('nothing')}"
        elif result.preemptions is not None and result.preemptions <= len(trial.tasks):
            yield (
                f"lower queues were suspended once and hardly ever again: "
                f"{nothing_about.format('next to nothing')} (closed loops at the top priority?)"
            )
    flooded = [task.name for task in trial.tasks if (task.arrival.load or 0) > 1]
    if flooded:
        yield f"load above 1: the queue of {', '.join(flooded)} grows without bound"
    if result.stolen > STOLEN:
        yield (
            f"the hypervisor took {result.stolen:.0%} of a CPU core's time in the window: "
            "latencies are its doing, too"
        )
    if others := result.other_load:
        if (others.device or 0.0) > OTHERS_ON_DEVICE:
            yield (
                f"other processes had {others.device:.2f} of the device's CPU cores in the window: "
                "latencies are their doing, too"
            )
        if others.cores > OTHERS:
            yield (
                f"other processes kept {others.cores:.1f} CPU cores busy in the window: latencies "
                "may be their doing, too"
            )
    if result.unsteady:
        yield f"not steady after the warm-up: {', '.join(result.unsteady)}"
    closed = any(task.closed for task in trial.tasks)
    if closed and trial.arm.shares_device and result.saturation < SATURATED:
        yield (
            f"the device was not saturated ({result.saturation:.2f}): a trial that the host "
            f"limits cannot show priority{_graphs_help(trial)}"
        )
    short = {n: each for n, each in measured.tasks.items() if each.requests < each.wanted}
    if result.cut:
        counts = ", ".join(f"{n} {each.requests}/{each.wanted}" for n, each in short.items())
        yield f"{CUT} at limit_s={trial.limit_s:g} ({counts})"
    late = sum(task.late_starts for task in measured.tasks.values())
    count = sum(len(task.completed) for task in result.requests)
    if late > LATE * count:
        yield f"{late} of {count} requests started over 1 ms late by the runner's own fault"
    starved = [
        task.name
        for task in trial.tasks
        if (found := measured.tasks.get(task.name))
        and not found.requests
        and (task.closed or found.open != 0)
    ]
    if starved:
        yield f"{CENSORED}: {', '.join(starved)} completed no request in the window"
    left = [
        f"{task.name} {found.open}"
        for task in trial.tasks
        if (found := measured.tasks.get(task.name))
        and found.open
        and (task.name in short or _piled_up(task, found))
    ]
    if left:
        # Of a window that ends with its requests, those that count are all complete.
        lacking = result.cut or trial.duration_s is not None
        said = f"{CENSORED}, as they were open" if lacking else "piled up and open"
        yield f"{said} when the window ended: requests of {', '.join(left)}"
