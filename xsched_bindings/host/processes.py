"""What the platform's processes ask of Linux."""

import ctypes
import os
import select
import signal
from collections.abc import Iterable
from math import ceil
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_TIMERSLACK = 29


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends, stopped or not."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def exact_timers() -> None:
    """Let timers of this process's threads expire when they are due, not up to 50 µs later."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_TIMERSLACK, 1)


def readable(fds: Iterable[int], timeout_s: float | None = None) -> list[int]:
    """Those of `fds` that can be read, or whose other end has gone, as soon as there are any; none
    when `timeout_s` has passed. Unlike select() it takes descriptors above 1023."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(None if timeout_s is None else ceil(timeout_s * 1e3))]


def state(stat: bytes) -> str:
    """A process's state by the content of its /proc/PID/stat: R runs or could, S sleeps, D waits
    for a disk (proc_pid_stat(5))."""
    return chr(stat[stat.rindex(b")") + 2])


def stands_still(stat: bytes) -> bool:
    """Whether a process is stopped or dead, likewise."""
    return state(stat) in "TtZX"


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor that is not in `keep`: a copy of a sibling's pipe would keep that
    pipe open, and its reader waiting, after its writer has gone."""
    for fd in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - keep:
        try:
            os.close(fd)
        except OSError:
            pass  # the listing's own descriptor
