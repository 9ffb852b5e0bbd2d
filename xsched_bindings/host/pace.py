"""What a device core runs besides executors, for as long as a session lasts: two processes that no
scheduling touches, forked from the device process as executors are.

One keeps the core awake: a core that sleeps between requests is slow when one comes, and a task
alone on it would be no floor for tasks in company. The other tells the core's pace. On a shared
machine a core's speed changes with what neighbours do to the caches and to the memory behind its
own, so its work is to read memory, and the pace is the CPU time of that.
"""

import mmap
import os
import time
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from xsched_bindings.host.processes import exact_timers
from xsched_bindings.host.stream import kept

Floats = NDArray[np.float32]

#: Floats that are read at a time, and all that are read in turn: more than a core's own caches
#: hold, so that each piece comes from behind them. Of less, a core that has nothing else to do
#: would still have the piece, and its pace were another one's than that of a core at work.
PIECE, WHOLE = 1 << 19, 1 << 22
#: Read before each piece and not timed: what it costs to come to work after somebody else.
LEAD = 1 << 14
#: Bytes of a huge page of x86-64 and of most of arm64.
HUGE_PAGE = 2 << 20
#: Reading takes 1 % of a core at most.
PERIOD_S = 0.03
#: Of what keeps a core awake. It spins so long before it looks whether others have run, and rests
#: so long where they have, too short for the core to fall asleep deeply; that either took so much
#: longer tells that they have.
SPIN_NS, REST_NS, OTHERS_NS = 200_000, 200_000, 100_000
#: Pieces whose times are kept: half an hour of them.
PIECES = 1 << 16


def fixed_work() -> Floats:
    """The memory to read. It is made once for all sessions of a device, since where its pages lie
    makes a difference of its own, and begins with a huge page, as the kernel gives to large arrays
    of numpy: a piece that lies in small ones takes almost twice as long, and the pace would be that
    of how many such pieces a window happens to have."""
    memory = np.ones(WHOLE + HUGE_PAGE // np.float32().itemsize, np.float32)
    return memory[-memory.ctypes.data % HUGE_PAGE // memory.itemsize :][:WHOLE]


class PaceMemory:
    """What a core's pace process and its session share: how many pieces have been read, and a ring
    of the CPU nanoseconds of each."""

    BYTES = mmap.PAGESIZE + 8 * PIECES

    def __init__(self, fd: int) -> None:
        memory = memoryview(mmap.mmap(fd, self.BYTES))
        self.pieces = memory[:8].cast("q")
        self.cpu_ns = memory[mmap.PAGESIZE :].cast("q")


def stay_awake(core: int) -> NoReturn:
    """Keep the core busy whenever nobody else wants it. It is in the executors' group of processes
    (the kernel's autogroup), for only within one does the idle class give way at once. To others it
    has the group's whole weight, and would take half of the core from them: so it spins only until
    somebody else has run, and rests until it comes back from a rest in time."""
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    exact_timers()
    while True:
        begin_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        while time.monotonic_ns() < begin_ns + SPIN_NS:
            pass
        lost_ns = time.monotonic_ns() - begin_ns - (time.thread_time_ns() - cpu_ns)
        while lost_ns > OTHERS_NS:
            rested_ns = time.monotonic_ns()
            time.sleep(REST_NS / 1e9)
            lost_ns = time.monotonic_ns() - rested_ns - REST_NS


def keep_pace(core: int, work: Floats, memory: PaceMemory) -> NoReturn:
    """Read a piece now and then, for ever. Its time is CPU time, so that waiting for executors does
    not count."""
    os.sched_setaffinity(0, {core})
    pieces, done = work.reshape(-1, PIECE), 0
    while True:
        time.sleep(PERIOD_S)
        pieces[done % len(pieces) - 1, :LEAD].sum()
        begin_ns = time.thread_time_ns()
        pieces[done % len(pieces)].sum()
        memory.cpu_ns[done % PIECES] = time.thread_time_ns() - begin_ns
        done += 1
        memory.pieces[0] = done


class Pace:
    """A core's pace, seen from the session. pids: of the two processes. pidfds: likewise, readable
    once they have ended."""

    def __init__(self, core: int, pids: Sequence[int], memory: PaceMemory) -> None:
        self.core, self.pids = core, list(pids)
        self.pidfds = [os.pidfd_open(pid) for pid in pids]
        self._memory = memory

    @property
    def pieces(self) -> int:
        """How many have been read."""
        return self._memory.pieces[0]

    def cpu_us_since(self, pieces: int) -> NDArray[np.float64]:
        """CPU microseconds of each after the first `pieces`, the last ones if they are too many."""
        at, _ = kept(pieces, self.pieces, PIECES)
        return np.asarray(self._memory.cpu_ns)[at] / 1e3

    def close(self) -> None:
        while self.pidfds:
            os.close(self.pidfds.pop())
