"""XSched's launch worker's rule, pure: what may be launched, where to synchronise, what to reap.

Source: ``preempt/src/xqueue/launch_worker.cpp`` (LaunchHwCommand, SyncCmdWithLock). A command is
*in flight* from its launch until it is reaped, and it is reaped only at a synchronisation point,
which every `batch_size`-th command is. So in steady state threshold - batch_size … threshold
commands are in flight, however many of them the device has already completed.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class LaunchLog:
    """The commands of one queue that are in flight; indices count from 1 as XSched's do."""

    threshold: int
    batch_size: int
    launched: int = 0
    reaped: int = 0
    #: Launched synchronisation points that are not reaped yet, oldest first.
    sync_points: deque[int] = field(default_factory=deque)
    _last_sync_point: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= self.threshold:
            raise ValueError(
                f"batch_size {self.batch_size} must be between 1 and threshold {self.threshold}"
            )

    @property
    def in_flight(self) -> int:
        return self.launched - self.reaped

    @property
    def ends_in_sync_point(self) -> bool:
        return bool(self.sync_points) and self.sync_points[-1] == self.launched

    def launch(self, wanted: int) -> list[int]:
        """Launch as many of `wanted` commands as the threshold admits.

        Returns the burst as run lengths: a synchronisation point follows each run but the last,
        so ``[3, 4, 0]`` is three commands, a point, four commands, a point. ``[0]`` is nothing."""
        burst = max(0, min(wanted, self.threshold - self.in_flight))
        runs = []
        end = self.launched + burst
        while self._last_sync_point + self.batch_size <= end:
            # A batch that has become smaller may have left one overdue.
            point = max(self._last_sync_point + self.batch_size, self.launched)
            runs.append(point - self.launched)
            self.launched = self._last_sync_point = point
            self.sync_points.append(point)
        runs.append(end - self.launched)
        self.launched = end
        return runs

    def mark_all(self) -> int:
        """A synchronisation point behind everything launched; returns its index."""
        self.sync_points.append(self.launched)
        return self.launched

    def reap(self) -> int:
        """The oldest synchronisation point was reached: reap all up to it; returns its index."""
        point = self.sync_points.popleft()
        self.reaped = max(self.reaped, point)
        return point
