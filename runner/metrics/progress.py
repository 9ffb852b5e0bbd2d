"""System throughput and turnaround of Eyerman and Eeckhout, "System-Level Performance Metrics for
Multiprogram Workloads", IEEE Micro 28(3), 2008. A program's turnaround time is here the mean
response latency of a task's requests, and its time alone the solo time of one request."""

import math

from runner.metrics.intervals import LEVEL, Estimate, Interval, mean
from runner.metrics.registry import About, metric
from runner.metrics.task import Task, Tasks


@metric("stp", higher_is_better=True, about=About.SYSTEM)
def stp(tasks: Tasks) -> Estimate | None:
    """System throughput: how many tasks' worth of progress the device makes at a time.

    Unit: tasks
    Formula: Σ over tasks (solo time ÷ mean response latency)
    """
    if not _known(tasks):
        return None
    slowdowns = [_slowdown(task, len(tasks)) for task in tasks]
    return _ends(
        sum(1 / each.value for each in slowdowns),
        sum(1 / high for _, high in map(_bounds, slowdowns)),
        sum(1 / low if low > 0 else math.inf for low, _ in map(_bounds, slowdowns)),
    )


@metric("antt", higher_is_better=False, about=About.SYSTEM)
def antt(tasks: Tasks) -> Estimate | None:
    """Average normalised turnaround time: by how much a task is slower than alone, on average.

    Unit: ratio
    Formula: (1 ÷ tasks) · Σ over tasks (mean response latency ÷ solo time)
    """
    if not _known(tasks):
        return None
    slowdowns = [_slowdown(task, len(tasks)) for task in tasks]
    return _ends(
        sum(each.value for each in slowdowns) / len(tasks),
        sum(low for low, _ in map(_bounds, slowdowns)) / len(tasks),
        sum(high for _, high in map(_bounds, slowdowns)) / len(tasks),
    )


def _known(tasks: Tasks) -> bool:
    return all(task.solo_ms > 0 and task.response_ms.any() for task in tasks)


def _slowdown(task: Task, of: int) -> Estimate:
    """Mean slowdown of a task, its interval such that those of all the tasks hold at once, however
    the tasks depend on each other (Bonferroni)."""
    return mean(task.response_ms / task.solo_ms, 1 - (1 - LEVEL) / of)


def _bounds(estimate: Estimate) -> tuple[float, float]:
    interval = estimate.interval
    return (interval.low, interval.high) if interval else (0.0, math.inf)


def _ends(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, Interval(low, high))
