"""From timestamps to the figures of a run; what each figure is: `runner.metrics`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models import ModelSpec
from runner import arrivals
from runner.recording import COMPLETED, SCHEDULED, STARTED, Recording
from runner.spec import TaskSpec, TrialSpec

if TYPE_CHECKING:
    from runner.intervals import Estimate
    from runner.metrics import Task

Times = NDArray[np.int64]
LATE_NS = 1_000_000
#: What a priority has of the figures of its tasks.
POOLED = (
    *("latency_ms", "latency_interval_ms", "service_ms", "service_interval_ms"),
    *("throughput_rps", "throughput_interval_rps"),
)


@dataclass(frozen=True)
class TaskRequests:
    """One task's requests in the window, times in nanoseconds after the common start of its group,
    shape (requests,) each; and its warm-up requests before it, likewise (so below zero). start_ns:
    that start on the monotonic clock, 0 if nothing is known to have been started."""

    name: str
    priority: int
    wanted: int
    scheduled: Times
    started: Times
    completed: Times
    warmup: Times
    start_ns: int = 0

    @property
    def counted(self) -> slice:
        """The requests that figures are made of; those behind them only kept the load up."""
        return slice(0, self.wanted)

    @property
    def response_ms(self) -> NDArray[np.float64]:
        return (self.completed - self.scheduled)[self.counted] / 1e6

    @property
    def service_ms(self) -> NDArray[np.float64]:
        return (self.completed - self.started)[self.counted] / 1e6

    @property
    def late_starts(self) -> int:
        """Requests that began over 1 ms after both their arrival and the end of the one before:
        the runner's own fault."""
        free = np.concatenate([[0], self.completed[:-1]])
        return int((self.started - np.maximum(self.scheduled, free) > LATE_NS).sum())


def read(trial: TrialSpec, recording: Recording) -> list[TaskRequests]:
    """What was recorded of every task, also of a trial that did not come to its end."""
    requests = []
    for index, task in enumerate(trial.tasks):
        _, warmups = recording.progress(index)
        start_ns = recording.start_ns(index)
        rows = recording.rows(index)
        if start_ns == 0:  # died while warming up
            start_ns, warmups = (int(rows[-1, COMPLETED]) if len(rows) else 0), len(rows)
        rows -= start_ns
        window = rows[warmups:]
        wanted = task.requests
        if trial.duration_s is not None:  # whatever completes in time counts
            wanted = int((window[:, COMPLETED] <= trial.duration_s * 1e9).sum())
        requests.append(
            TaskRequests(
                task.name,
                task.priority,
                wanted,
                window[:, SCHEDULED],
                window[:, STARTED],
                window[:, COMPLETED],
                rows[:warmups],
                start_ns,
            )
        )
    return requests


def window_s(trial: TrialSpec, requests: list[TaskRequests], group: list[int]) -> float:
    """From the common start until every task of the group has completed its requests, or for the
    configured duration; for a trial that was cut short, until the last completion."""
    if trial.duration_s is not None:
        completed = [requests[index].completed for index in group]
        last_ns = max((int(times[-1]) for times in completed if len(times)), default=0)
        return min(trial.duration_s, last_ns / 1e9)
    ends = []
    for index in group:
        task = requests[index]
        if len(task.completed):
            ends.append(int(task.completed[min(task.wanted, len(task.completed)) - 1]))
    return max(ends, default=0) / 1e9


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
