"""How much longer requests take than with nobody beside them."""

from runner.metrics.intervals import Estimate, quantile
from runner.metrics.registry import metric
from runner.metrics.task import Task, Tasks, Times, pooled


def slowdown(task: Task) -> Times:
    """Of every request."""
    return task.response_ms / task.solo_ms


@metric("slowdown_p50", higher_is_better=False)
def slowdown_p50(tasks: Tasks) -> Estimate | None:
    """Median slowdown against solo.

    Unit: ratio
    Formula: p50 of (response latency ÷ the task's solo time)
    """
    return _quantile(tasks, 0.5)


@metric("slowdown_p99", higher_is_better=False)
def slowdown_p99(tasks: Tasks) -> Estimate | None:
    """99th percentile of the slowdown against solo.

    Unit: ratio
    Formula: p99 of (response latency ÷ the task's solo time)
    """
    return _quantile(tasks, 0.99)


def _quantile(tasks: Tasks, share: float) -> Estimate | None:
    if not all(task.solo_ms > 0 for task in tasks):
        return None
    return quantile(pooled(tasks, slowdown), share)
