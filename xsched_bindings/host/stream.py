"""A hardware queue of the host platform, seen from the side that submits to it."""

import os
import signal
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.executor import (
    COMPLETED,
    HOLD,
    MARKS,
    RESULTS,
    RESULTS_KEPT,
    Memory,
)
from xsched_bindings.host.processes import stands_still, state

CODE_BYTES = 4
STATE_POLL_S = 20e-6
#: That a stream with one waiter keeps: for commands, replies, the gate, the page, the process and
#: its state.
DESCRIPTORS = 6


@dataclass(frozen=True)
class LoadedProgram:
    """A program as a stream knows it: `commands` commands, numbered from `base`."""

    base: int
    commands: int
    seconds: float = 0.0

    @property
    def codes(self) -> bytes:
        """The program's commands in the executor's wire format."""
        return array("i", range(self.base, self.base + self.commands)).tobytes()


class Marks(NamedTuple):
    """Commands that an executor has completed, the oldest first: when (monotonic nanoseconds,
    int64), and which (in the executor's numbers, int32). dropped: how many before them the ring no
    longer has."""

    at_ns: NDArray[np.int64]
    codes: NDArray[np.int32]
    dropped: int


def marker(waiter: int) -> bytes:
    """A synchronisation marker for that waiter, in the executor's wire format."""
    return array("i", [-1 - waiter]).tobytes()


class Interceptor(Protocol):
    """What sits between a stream's user and the executor, as XSched's shim does on GPUs."""

    def submit(self, codes: bytes) -> None: ...

    def end(self) -> Callable[[], None]: ...


class HostStream:
    """A queue of commands that an executor process runs in order.

    Without an interceptor commands go straight to the executor, as kernels do when XSched's shim
    is not in place. `synchronize` blocks a waiter until everything submitted before has completed.
    """

    def __init__(
        self,
        pid: int,
        programs: Sequence[int],
        command_fd: int,
        reply_fds: Sequence[int],
        gate_fd: int,
        memory_fd: int,
    ) -> None:
        self.pid = pid
        bases = [sum(programs[:i]) for i in range(len(programs))]
        #: The programs given to `open_stream`, in that order.
        self.programs = [LoadedProgram(b, n) for b, n in zip(bases, programs, strict=True)]
        self.interceptor: Interceptor | None = None
        self._codes = {program: program.codes for program in self.programs}
        self._markers = [marker(waiter) for waiter in range(len(reply_fds))]
        self._command_fd = command_fd
        self._reply_fds = list(reply_fds)
        self._gate_fd = gate_fd
        self._memory = Memory(memory_fd)
        self._words = self._memory.words
        os.close(memory_fd)
        self.pidfd = os.pidfd_open(pid)
        self._stat_fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        # Writes beyond PIPE_BUF are not atomic, and several tasks may share a stream.
        self._writing = threading.Lock()
        self._closed = False

    def submit(self, program: LoadedProgram) -> None:
        """Enqueue one request: all commands of `program`."""
        codes = self._codes[program]
        if self.interceptor is None:
            self.write(codes)
        else:
            self.interceptor.submit(codes)

    def end(self, waiter: int = 0) -> Callable[[], None]:
        """What blocks until everything submitted so far has completed; to be called in turn.

        Both raise `DeviceLost` if the executor is gone."""
        if self.interceptor is None:
            self.write(self._markers[waiter])
            return partial(self.wait_marker, waiter)
        return self.interceptor.end()

    def synchronize(self, waiter: int = 0) -> None:
        """Block until everything submitted so far has completed (``cuStreamSynchronize``).

        Raises `DeviceLost` if the executor is gone."""
        self.end(waiter)()

    # --- what a launch worker builds on ------------------------------------------------------

    def write(self, codes: bytes) -> None:
        """Send commands and markers to the executor, past any interceptor."""
        with self._writing:
            try:
                while codes:
                    codes = codes[os.write(self._command_fd, codes) :]
            except OSError as error:
                raise DeviceLost(f"executor {self.pid} is gone") from error

    def wait_marker(self, waiter: int = 0) -> None:
        """Block until the executor reaches the oldest marker sent for that waiter."""
        if not os.read(self._reply_fds[waiter], 1):
            raise DeviceLost(f"executor {self.pid} is gone")

    @property
    def completed(self) -> int:
        """Commands completed since the stream was opened."""
        return self._words[COMPLETED]

    @property
    def last_completed_ns(self) -> int:
        """When the last of them completed: monotonic nanoseconds, 0 before the first."""
        return self._memory.at_ns[(self.completed - 1) % MARKS]

    @property
    def results(self) -> int:
        """Requests since the stream was opened whose result the executor has looked at."""
        return self._words[RESULTS]

    def marks_since(self, completed: int) -> Marks:
        """Of the commands after the first `completed`."""
        at, dropped = kept(completed, self.completed, MARKS)
        whole = np.frombuffer(self._memory.at_ns, np.int64)
        return Marks(whole[at], np.frombuffer(self._memory.codes, np.int32)[at], dropped)

    def results_since(self, results: int) -> NDArray[np.float64]:
        """What the requests came to after the first `results` of them, the last ones if the ring
        no longer has all."""
        at, _ = kept(results, self.results, RESULTS_KEPT)
        return np.asarray(self._memory.results)[at]

    @property
    def busy_ns(self) -> int:
        """CPU time that the executor has used since its start, in nanoseconds."""
        # The kernel's clock id of a process's CPU time: include/linux/posix-timers_types.h.
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    @property
    def niceness(self) -> int:
        """The operating system's priority hint for the executor, 0 to 19."""
        return os.getpriority(os.PRIO_PROCESS, self.pid)

    # --- the preemption levels' hardware ------------------------------------------------------

    def hold(self) -> None:
        """Level 2: the executor begins no further command, received ones included."""
        self._words[HOLD] = 1

    def release(self) -> None:
        """Undo `hold`."""
        self._words[HOLD] = 0
        os.eventfd_write(self._gate_fd, 1)

    def interrupt(self) -> None:
        """Level 3: stop the running command in its middle."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGSTOP)

    def restore(self) -> None:
        """Undo `interrupt`."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)

    @property
    def stopped(self) -> bool:
        """Whether the executor is stopped or dead, as the operating system sees it."""
        return stands_still(self._stat)

    @property
    def _stat(self) -> bytes:
        return os.pread(self._stat_fd, 512, 0)

    def wait_stopped(self, timeout_s: float = 10.0) -> None:
        """Block until an interrupt has taken effect (about 0.1 ms; on a core that others want, as
        long as the executor waits for it, or for the disk that its page comes from).

        Raises `DeviceLost` if it has not within the timeout."""
        give_up, busy_ns = time.monotonic() + timeout_s, self.busy_ns
        while not self.stopped:
            if time.monotonic() > give_up:
                raise DeviceLost(
                    f"executor {self.pid} did not stop within {timeout_s:g} s: in state "
                    f"{state(self._stat)}, with {(self.busy_ns - busy_ns) / 1e9:.3f} s of CPU time"
                )
            time.sleep(STATE_POLL_S)

    def close(self) -> None:
        """Close the stream; its executor ends once it has read what is pending."""
        if self._closed:
            return
        self._closed = True
        for fd in [self._command_fd, *self._reply_fds, self._gate_fd, self.pidfd, self._stat_fd]:
            os.close(fd)


def kept(begin: int, end: int, size: int) -> tuple[NDArray[np.int64], int]:
    """Where in a ring the entries from `begin` to `end` are, and how many of the first it lacks."""
    first = max(begin, end - size)
    return np.arange(first, end) % size, first - begin
