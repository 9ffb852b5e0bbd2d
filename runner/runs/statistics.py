"""From timestamps to the figures of a run; what each figure is: `runner.metrics`."""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from models import ModelSpec
from runner.config import arrivals
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.trial.measured import window_s

if TYPE_CHECKING:
    from runner.metrics import Task
    from runner.metrics.intervals import Estimate

#: What a priority has of the figures of its tasks.
POOLED = (
    *("latency_ms", "latency_interval_ms", "service_ms", "service_interval_ms"),
    *("throughput_rps", "throughput_interval_rps"),
)


def arrived(
    trial: TrialSpec, task: TaskSpec, requests: TaskRequests, solo_s: float, end_ns: int
) -> int | None:
    """Requests of the task that had arrived by `end_ns` after the common start, those that never
    began included; None if that cannot be known without the solo time."""
    if task.closed:
        return int((requests.scheduled < end_ns).sum())
    if task.arrival.load is not None and math.isnan(solo_s):
        return None
    schedule = arrivals.schedule(task, solo_s, trial.seed) or iter(())
    count = sum(1 for _ in takewhile(lambda at_ns: at_ns <= end_ns, schedule))
    endless = trial.keep_load or trial.duration_s is not None
    return count if endless else min(count, task.requests)


def rates(
    trial: TrialSpec, task: TaskSpec, requests: TaskRequests, solo_s: float, end_ns: int
) -> dict[str, float | None]:
    """Arrivals and completions a second of the window, which ends at `end_ns` (none for a closed
    loop, which offers what is achieved), and `open`: the requests that had arrived and not
    completed by then. None is unknown."""
    came = arrived(trial, task, requests, solo_s, end_ns) if end_ns else None
    completed = int((requests.completed <= end_ns).sum())
    paced = not task.closed and end_ns > 0
    return {
        "offered_rps": came * 1e9 / end_ns if paced and came is not None else None,
        "achieved_rps": completed * 1e9 / end_ns if paced else None,
        "open": None if came is None else came - completed,
    }


def summarise(
    trial: TrialSpec,
    requests: list[TaskRequests],
    solo: dict[ModelSpec, float],
) -> dict[str, Any]:
    """The measured part of summary.json (keys: docs/outputs.md). Priorities pool their tasks."""
    tasks: dict[str, Any] = {}
    measured: dict[str, Task] = {}
    total_s = 0.0
    for group in trial.groups:
        span = window_s(trial, requests, group)
        total_s += span
        for index in group:
            task, spec = requests[index], trial.tasks[index]
            solo_s, end_ns = solo.get(spec.model, math.nan), round(span * 1e9)
            measured[task.name] = _measured(task, end_ns, solo_s)
            tasks[task.name] = {
                "priority": task.priority,
                "requests": len(task.response_ms),
                "wanted": task.wanted,
                "extra": max(0, len(task.completed) - task.wanted),
                "window_s": span,
                **_figures([measured[task.name]]),
                "late_starts": task.late_starts,
                "solo_ms": solo_s * 1e3,
            } | rates(trial, spec, task, solo_s, end_ns)
    priorities = {}
    for priority in trial.priorities:
        pooled = [task for task in measured.values() if task.priority == priority]
        if pooled:
            # A task that is alone in its priority has the same figures, and they are there.
            figures = tasks[pooled[0].name] if len(pooled) == 1 else _figures(pooled)
            priorities[str(priority)] = {name: figures[name] for name in POOLED}
    return {
        "window_s": total_s,
        "tasks": tasks,
        "priorities": priorities,
    }


def _measured(requests: TaskRequests, end_ns: int, solo_s: float) -> "Task":
    """What the metrics work from, of a window that ends at `end_ns`."""
    # Here, because scipy takes a quarter of a second, and none of it is needed before the end.
    from runner.metrics import Task

    return Task(
        requests.name,
        requests.priority,
        requests.response_ms,
        requests.service_ms,
        requests.completed / 1e6,
        end_ns / 1e6,
        solo_s * 1e3,
    )


def _figures(tasks: Sequence["Task"]) -> dict[str, Any]:
    """Latencies and throughput of a task, or of the tasks of a priority, each with its interval as
    [low, high], an end that the data cannot give infinite; no latencies without requests."""
    from runner.metrics import METRICS
    from runner.metrics.latency import FIGURES

    began = [task for task in tasks if len(task.response_ms)]
    found: dict[str, Any] = {}
    for kind, prefix in (("latency", ""), ("service", "service_")):
        estimates = {name: METRICS[f"{prefix}{name}_ms"](began) for name in FIGURES}
        known = {name: estimate for name, estimate in estimates.items() if estimate}
        found[f"{kind}_ms"] = {name: estimate.value for name, estimate in known.items()}
        found[f"{kind}_interval_ms"] = {name: _ends(each) for name, each in known.items()}
    throughput = METRICS["throughput_rps"](began)
    found["throughput_rps"] = throughput.value if throughput else 0.0
    found["throughput_interval_rps"] = _ends(throughput) if throughput else None
    return found


def _ends(estimate: "Estimate") -> list[float] | None:
    """None for a figure without an interval, as of a single request."""
    return [estimate.interval.low, estimate.interval.high] if estimate.interval else None
