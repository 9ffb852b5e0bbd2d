"""The requests that a task has made, as timestamps: what every figure is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
LATE_NS = 1_000_000


@dataclass(frozen=True)
class TaskRequests:
    """One task's requests in the window: those that arrived after it began. Times in nanoseconds
    from then, shape (requests,) each. warmup: requests before those, which are in no figure, shape
    (requests, 3); the last `lead_in` of them arrived after the common start of the task's group.
    start_ns: when the window began on the monotonic clock, 0 if nothing is known to have been
    started."""

    name: str
    priority: int
    wanted: int
    scheduled: Times
    started: Times
    completed: Times
    warmup: Times
    start_ns: int = 0
    lead_in: int = 0

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
    def spans(self) -> Times:
        """When all requests from the common start on were in service, those of the lead-in too:
        monotonic nanoseconds, shape (requests, 2)."""
        lead_in = self.warmup[len(self.warmup) - self.lead_in :, 1:]
        window = np.stack([self.started, self.completed], axis=1)
        return np.concatenate([lead_in, window]) + self.start_ns

    @property
    def late_starts(self) -> int:
        """Requests that began over 1 ms after both their arrival and the end of the one before:
        the runner's own fault."""
        free = np.concatenate([[0], self.warmup[:, 2], self.completed])[len(self.warmup) : -1]
        return int((self.started - np.maximum(self.scheduled, free) > LATE_NS).sum())
