"""System throughput and turnaround of Eyerman and Eeckhout, "System-Level Performance Metrics for
Multiprogram Workloads", IEEE Micro 28(3), 2008. A program's turnaround time is here the mean
response latency of a task's requests, and its time alone the solo time of one request."""

import math
from collections.abc import Callable

from runner.metrics.intervals import LEVEL, Estimate, Interval, mean
from runner.metrics.registry import About, metric
from runner.metrics.task import Tasks


@metric(
    "stp",
    "tasks",
    "Σ over tasks (solo time ÷ mean response latency)",
    higher_is_better=True,
    about=About.SYSTEM,
)
def stp(tasks: Tasks) -> Estimate | None:
    """System throughput: how many tasks' worth of progress the device makes at a time."""
    return _of_slowdowns(tasks, lambda each: sum(1 / s if s > 0 else math.inf for s in each))


@metric(
    "antt",
    "ratio",
    "(1 ÷ tasks) · Σ over tasks (mean response latency ÷ solo time)",
    higher_is_better=False,
    about=About.SYSTEM,
)
def antt(tasks: Tasks) -> Estimate | None:
    """Average normalised turnaround time: by how much a task is slower than alone, on average."""
    return _of_slowdowns(tasks, lambda each: sum(each) / len(each))


def _of_slowdowns(tasks: Tasks, figure: Callable[[tuple[float, ...]], float]) -> Estimate | None:
    """A figure of the tasks' mean slowdowns; None where one is not known. The slowdowns' intervals
    hold all at once, however the tasks depend on each other (Bonferroni), and so does the
    figure's."""
    if not all(task.solo_ms > 0 and task.response_ms.any() for task in tasks):
        return None
    level = 1 - (1 - LEVEL) / len(tasks)
    slowdowns = [mean(task.response_ms / task.solo_ms, level) for task in tasks]
    bounds = [s.interval or Interval(0.0, math.inf) for s in slowdowns]
    ends = figure(tuple(b.low for b in bounds)), figure(tuple(b.high for b in bounds))
    return Estimate(figure(tuple(s.value for s in slowdowns)), Interval(min(ends), max(ends)))
