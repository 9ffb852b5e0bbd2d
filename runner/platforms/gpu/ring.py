"""The host's side of a ring of marks (`runner.platforms.gpu.accelerator.Ring`)."""

import numpy as np
from numpy.typing import NDArray

from runner.platforms.gpu.accelerator import Marked


class HostRing:
    """What a device has written into the host's memory, read while it may write on.

    memory: int64 of shape (rows + 1, 2). First the count of all marks and a number that is not
    used, then the rows, mark i in row i mod rows: ticks, and the value's bits."""

    def __init__(self, memory: NDArray[np.int64]) -> None:
        self._count = memory[0]
        self._ticks, self._values = memory[1:, 0], memory[1:, 1].view(np.float64)

    @property
    def count(self) -> int:
        return int(self._count[0])

    def since(self, count: int) -> Marked:
        rows, end = len(self._ticks), self.count
        first = max(count, end - rows)
        places = np.arange(first, end) % rows
        marked = Marked(self._ticks[places], self._values[places])
        # Rows that were reused while they were read, and the one that may be just now.
        gone = max(0, self.count + 1 - rows - first)
        return Marked(marked.ticks[gone:], marked.values[gone:])
