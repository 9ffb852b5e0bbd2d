"""From timestamps to the figures of a run. Times are in milliseconds of response latency (from
the *scheduled* arrival) unless they say service (from the start of the request)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ModelSpec
from runner.recording import COMPLETED, SCHEDULED, STARTED, Recording
from runner.spec import TrialSpec

Times = NDArray[np.int64]
PERCENTILES = (50, 90, 99)
LATE_NS = 1_000_000


@dataclass(frozen=True)
class TaskRequests:
    """One task's requests in the window, times in nanoseconds after the common start of its group,
    shape (requests,) each; and its warm-up requests before it, likewise (so below zero)."""

    name: str
    priority: int
    wanted: int
    scheduled: Times
    started: Times
    completed: Times
    warmup: Times

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
        requests.append(
            TaskRequests(
                task.name,
                task.priority,
                task.requests,
                window[:, SCHEDULED],
                window[:, STARTED],
                window[:, COMPLETED],
                rows[:warmups],
            )
        )
    return requests


def window_s(trial: TrialSpec, requests: list[TaskRequests], group: list[int]) -> float:
    """From the common start until every task of the group has completed its requests; for a trial
    that was cut short, until the last completion."""
    ends = []
    for index in group:
        task = requests[index]
        if len(task.completed):
            ends.append(int(task.completed[min(task.wanted, len(task.completed)) - 1]))
    return max(ends, default=0) / 1e9


def percentile(values: NDArray[np.float64], percent: float) -> float:
    """The smallest value that at least `percent` % of the values do not exceed: a measured one,
    never an interpolation."""
    return float(np.percentile(values, percent, method="inverted_cdf"))


def latency(values_ms: NDArray[np.float64]) -> dict[str, float]:
    """p50, p90, p99, mean and max in milliseconds; empty without values."""
    if not len(values_ms):
        return {}
    figures = {f"p{percent}": percentile(values_ms, percent) for percent in PERCENTILES}
    return figures | {"mean": float(values_ms.mean()), "max": float(values_ms.max())}


def summarise(
    trial: TrialSpec,
    requests: list[TaskRequests],
    solo: dict[ModelSpec, float],
) -> dict[str, Any]:
    """The measured part of summary.json (keys: docs/outputs.md). Priorities pool their tasks."""
    tasks: dict[str, Any] = {}
    total_s = 0.0
    for group in trial.groups:
        span = window_s(trial, requests, group)
        total_s += span
        for index in group:
            task, spec = requests[index], trial.tasks[index]
            in_window = int((task.completed <= span * 1e9).sum())
            tasks[task.name] = {
                "priority": task.priority,
                "requests": len(task.response_ms),
                "wanted": task.wanted,
                "extra": max(0, len(task.completed) - task.wanted),
                "latency_ms": latency(task.response_ms),
                "service_ms": latency(task.service_ms),
                "throughput_rps": in_window / span if span else 0.0,
                "late_starts": task.late_starts,
                "solo_ms": solo.get(spec.model, float("nan")) * 1e3,
            }
    priorities = {}
    for priority in trial.priorities:
        pooled = [r for r in requests if r.priority == priority and r.name in tasks]
        if pooled:
            priorities[str(priority)] = {
                "latency_ms": latency(np.concatenate([r.response_ms for r in pooled])),
                "throughput_rps": sum(tasks[r.name]["throughput_rps"] for r in pooled),
            }
    return {
        "window_s": total_s,
        "tasks": tasks,
        "priorities": priorities,
    }
