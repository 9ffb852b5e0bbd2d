"""Service-level objectives: a deadline for every request of a task."""

import numpy as np

from runner.metrics.intervals import Estimate, proportion
from runner.metrics.registry import metric
from runner.metrics.task import Task, Tasks, Times, pooled


@metric("slo_attainment", higher_is_better=True, by_ratio=False)
def slo_attainment(tasks: Tasks) -> Estimate | None:
    """Share of the requests that meet the deadline of their task; only where all have one.

    Unit: share
    Formula: requests with response latency ≤ deadline ÷ requests
    """
    if any(task.deadline_ms is None for task in tasks):
        return None
    return proportion(pooled(tasks, met))


def met(task: Task) -> Times:
    """1 for a request within the deadline, else 0."""
    return np.where(task.response_ms <= (task.deadline_ms or 0.0), 1.0, 0.0)
