"""Tasks for tests of metrics."""

import numpy as np
from numpy.typing import ArrayLike

from runner.metrics import Task


def task(
    response_ms: ArrayLike,
    name: str = "a",
    priority: int = 0,
    completed_ms: ArrayLike | None = None,
    window_ms: float | None = None,
    solo_ms: float = 10.0,
    utilization: float | None = None,
    deadline_ms: float | None = None,
) -> Task:
    """A closed loop without a pause between requests, unless completions are given."""
    response = np.array(response_ms, dtype=np.float64)
    completed = np.cumsum(response) if completed_ms is None else np.array(completed_ms, dtype=float)
    return Task(
        name,
        priority,
        response,
        response / 2,
        completed,
        float(completed[-1]) if window_ms is None else window_ms,
        solo_ms,
        utilization,
        deadline_ms,
    )
