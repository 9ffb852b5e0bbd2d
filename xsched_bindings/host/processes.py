"""What the platform's processes ask of Linux."""

import ctypes
import os
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_TIMERSLACK = 29


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends, stopped or not."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def exact_timers() -> None:
    """Let timers of this process's threads expire when they are due, not up to 50 µs later."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_TIMERSLACK, 1)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor that is not in `keep`: a copy of a sibling's pipe would keep that
    pipe open, and its reader waiting, after its writer has gone."""
    for fd in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - keep:
        try:
            os.close(fd)
        except OSError:
            pass  # the listing's own descriptor
