"""The requests that a task has made, as timestamps: what every figure is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
LATE_NS = 1_000_000


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
