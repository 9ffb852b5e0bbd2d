"""The figures of a run: `METRICS`, by tag. Each is a small function of the tasks it is about that
says its unit and formula; the list in words is docs/statistics.md."""

from runner.metrics import (
    deadlines,
    latency,
    preemption,
    progress,
    sharing,
    slowdown,
    throughput,
)
from runner.metrics.registry import METRICS, Metric
from runner.metrics.task import Task, Tasks

__all__ = [
    "METRICS",
    "Metric",
    "Task",
    "Tasks",
    "deadlines",
    "latency",
    "preemption",
    "progress",
    "sharing",
    "slowdown",
    "throughput",
]
