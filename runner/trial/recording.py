"""Where workers write their timestamps: memory shared with the parent, one writer a task.

The parent makes it before the trial's processes exist and reads it while they run (progress) and
after they are gone (results), so nothing that was measured is lost with a killed worker.
"""

import mmap
import os
from typing import Self

import numpy as np
from numpy.typing import NDArray

HEADER = 4
ROWS, DONE, START_NS, STOP = range(HEADER)
COLUMNS = 3
SCHEDULED, STARTED, COMPLETED = range(COLUMNS)

#: Requests of one task that find room; the memory is used only as it is written.
CAPACITY = 1 << 20


class Recording:
    """Requests of `tasks` tasks: monotonic nanoseconds of scheduled, started and completed."""

    def __init__(self, fd: int, tasks: int, capacity: int = CAPACITY) -> None:
        self.fd, self.tasks, self.capacity = fd, tasks, capacity
        self._memory = mmap.mmap(fd, self._task_words * 8 * tasks)
        self._words = memoryview(self._memory).cast("q")

    @classmethod
    def create(cls, tasks: int, capacity: int = CAPACITY) -> Self:
        fd = os.memfd_create("xsched-recording")
        os.ftruncate(fd, (HEADER + COLUMNS * capacity) * 8 * tasks)
        return cls(fd, tasks, capacity)

    @property
    def _task_words(self) -> int:
        return HEADER + COLUMNS * self.capacity

    def writer(self, task: int) -> "TaskWriter":
        base = task * self._task_words
        return TaskWriter(self._words[base : base + self._task_words], self.capacity)

    def stop_flag(self, task: int) -> memoryview:
        """The word that tells all workers beside this task to stop; see `runner.trial.worker`."""
        at = task * self._task_words + STOP
        return self._words[at : at + 1]

    def all_done(self, tasks: list[int]) -> bool:
        """Whether each of these tasks has completed its request count."""
        return all(self._words[task * self._task_words + DONE] for task in tasks)

    def progress(self, task: int) -> tuple[int, int]:
        """Requests so far that arrived in the window, and those before it, of the lead-in too."""
        scheduled, start_ns = self._seen(task)[:, SCHEDULED], self.start_ns(task)
        before = int(np.searchsorted(scheduled, start_ns)) if start_ns else len(scheduled)
        return len(scheduled) - before, before

    def start_ns(self, task: int) -> int:
        """When the window of the task's group begins, after the lead-in; 0 before its tasks run."""
        return self._words[task * self._task_words + START_NS]

    def rows(self, task: int) -> NDArray[np.int64]:
        """What was recorded, a copy of shape (requests, 3), those before the window included."""
        return self._seen(task).copy()

    def _seen(self, task: int) -> NDArray[np.int64]:
        """The same where it is; arrivals are in their order."""
        base = task * self._task_words
        count = self._words[base + ROWS]
        flat = np.frombuffer(self._memory, np.int64, COLUMNS * count, (base + HEADER) * 8)
        return flat.reshape(count, COLUMNS)

    def close(self) -> None:
        """Close the descriptor; the memory goes with the last writer or array that uses it."""
        os.close(self.fd)


class TaskWriter:
    """One task's part of the memory, for `capacity` requests. A row counts once it is complete."""

    def __init__(self, words: memoryview, capacity: int) -> None:
        self._words = words
        self.capacity = capacity
        self._rows = 0

    @property
    def room(self) -> int:
        """For so many requests more."""
        return self.capacity - self._rows

    def start(self, start_ns: int) -> None:
        """The window begins then: requests that arrive earlier are not of it."""
        self._words[START_NS] = start_ns

    def record(self, scheduled_ns: int, started_ns: int, completed_ns: int) -> None:
        words, at = self._words, HEADER + COLUMNS * self._rows
        words[at] = scheduled_ns
        words[at + 1] = started_ns
        words[at + 2] = completed_ns
        self._rows += 1
        words[ROWS] = self._rows

    def done(self) -> None:
        self._words[DONE] = 1
