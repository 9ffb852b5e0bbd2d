"""What a metric works from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What one task did in one run.

    response_ms and service_ms: of the requests that count, in order, from the scheduled arrival and
    from the start of the request. completed_ms: after the window's beginning, those requests first,
    then extra ones that only kept the load up. window_ms: length of the window. solo_ms: of a
    request with nobody beside it, nan if it is not known. utilization: the configured share in
    percent. preemption_ms: from a suspension to the queue's quiet, of each one that proved the
    level. busy_ms: how long a closed loop in the window was still at a request of the lead-in.
    """

    name: str
    priority: int
    response_ms: Times
    service_ms: Times
    completed_ms: Times
    window_ms: float
    solo_ms: float
    utilization: float | None = None
    deadline_ms: float | None = None
    preemption_ms: Times = field(default_factory=lambda: np.empty(0))
    busy_ms: float = 0.0

    @property
    def throughput_rps(self) -> float:
        """Completions within the window, extra ones included, by its length. A closed loop is
        given no time in which it was still at a request that is in no figure."""
        done = float((self.completed_ms <= self.window_ms).sum())
        return done / (self.window_ms - self.busy_ms) * 1e3

    def thinned(self, requests: int) -> "Task":
        """With so many of the requests that count, evenly over the window, and no others: for
        figures of requests alone."""
        count = len(self.response_ms)
        kept = np.linspace(0, count - 1, min(requests, count)).round().astype(int)
        return replace(
            self,
            response_ms=self.response_ms[kept],
            service_ms=self.service_ms[kept],
            completed_ms=self.completed_ms[kept],
        )


#: One task, the tasks of a priority, or all that ran side by side.
Tasks = Sequence[Task]


def pooled(tasks: Tasks, values_of: Callable[[Task], Times]) -> Times:
    """One value for each request that counts, over all the tasks in the order of completion."""
    values = [np.asarray(values_of(task)) for task in tasks]
    if len(tasks) == 1:
        return values[0]
    completed = [task.completed_ms[: len(task.response_ms)] for task in tasks]
    order = np.argsort(np.concatenate(completed), kind="stable")
    return np.asarray(np.concatenate(values)[order])
