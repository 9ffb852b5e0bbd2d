"""From timestamps to the figures of a run; what each figure is: `runner.metrics`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from runner.config import arrivals
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics import METRICS, Task
from runner.metrics.measurement import Measurement
from runner.metrics.names import name_of
from runner.metrics.requests import TaskRequests
from runner.runs.record import Figure, TaskSummary
from runner.runs.run import busy_ms, quiet_ms
from runner.trial.measured import window_s
from runner.trial.run import TrialResult
from xsched_bindings.policies.base import DEADLINE, UTILIZATION


@dataclass(frozen=True)
class RunFigures:
    """window_s: length of the window without lead-in, of all groups together. figures: by name."""

    window_s: float
    tasks: dict[str, TaskSummary]
    figures: dict[str, Figure]


def figures(trial: TrialSpec, result: TrialResult) -> RunFigures:
    """What summary.json says of the requests."""
    tasks: dict[str, TaskSummary] = {}
    measured: dict[str, Task] = {}
    total_s = 0.0
    for group in trial.groups:
        span_s = window_s(trial, result.requests, group)
        total_s += span_s
        for index in group:
            task, spec = result.requests[index], trial.tasks[index]
            solo_s, end_ns = result.solo.get(spec.model, math.nan), round(span_s * 1e9)
            deadline_us = spec.hint(DEADLINE)
            measured[task.name] = Task(
                task.name,
                task.priority,
                task.response_ms,
                task.service_ms,
                task.completed / 1e6,
                end_ns / 1e6,
                solo_s * 1e3,
                spec.hint(UTILIZATION),
                None if deadline_us is None else deadline_us / 1e3,
                quiet_ms(result.proof, task.name),
                busy_ms(task.scheduled, spec.closed),
            )
            tasks[task.name] = _task_summary(trial, spec, task, solo_s, end_ns)
    counted = Measurement(
        measured,
        not trial.arm.runs_tasks_alone,
        result.preemptions,
        result.against_policy,
        None if math.isnan(result.saturation) else result.saturation,
        result.stolen,
        result.pace_us,
    )
    return RunFigures(total_s, tasks, dict(_every(counted)))


def _every(measured: Measurement) -> Iterator[tuple[str, Figure]]:
    """Every metric about every scope, where the run has it."""
    for scope in measured.scopes():
        for metric in METRICS.values():
            found = metric.of(measured, scope) if metric.of_all == scope.of_all else None
            if found and not math.isnan(found.value):
                yield name_of(metric, scope), Figure.of(found)


def _task_summary(
    trial: TrialSpec, spec: TaskSpec, requests: TaskRequests, solo_s: float, end_ns: int
) -> TaskSummary:
    """Rates are those of the window, which ends at `end_ns`; a closed loop has none, for it offers
    what is achieved. What is unknown is None."""
    came = arrived(trial, spec, requests, solo_s, end_ns) if end_ns else None
    completed = int((requests.completed <= end_ns).sum())
    paced = not spec.closed and end_ns > 0
    return TaskSummary(
        priority=requests.priority,
        requests=len(requests.response_ms),
        wanted=requests.wanted,
        extra=max(0, len(requests.completed) - requests.wanted),
        window_s=end_ns / 1e9,
        late_starts=requests.late_starts,
        solo_ms=None if math.isnan(solo_s) else solo_s * 1e3,
        offered_rps=came * 1e9 / end_ns if paced and came is not None else None,
        achieved_rps=completed * 1e9 / end_ns if paced else None,
        open=None if came is None else came - completed,
    )


def arrived(
    trial: TrialSpec, task: TaskSpec, requests: TaskRequests, solo_s: float, end_ns: int
) -> int | None:
    """Requests of the task that had arrived in a window of `end_ns`, those that never began
    included; None if that cannot be known without the solo time."""
    if task.closed:
        return int((requests.scheduled < end_ns).sum())
    if task.arrival.load is not None and math.isnan(solo_s):
        return None
    schedule = arrivals.schedule(task, solo_s, trial.seed) or iter(())
    in_time = takewhile(lambda at_ns: at_ns <= trial.lead_in_ns + end_ns, schedule)
    count = sum(at_ns >= trial.lead_in_ns for at_ns in in_time)
    endless = trial.keep_load or trial.duration_s is not None
    return count if endless else min(count, task.requests)
