"""One task: wait for the arrival, run the request, record. Nothing else in the measured window."""

import os
import select
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic_ns, sleep

from runner.platforms.contract import Wait
from runner.trial.recording import TaskWriter

#: Linux lets poll() oversleep by a thousandth of its timeout, which is in whole milliseconds, so a
#: long wait is slept in a few stretches. The last one, too, for spinning would steal the
#: submitters' core; nothing wakes it, but it is short.
LAST_STRETCH_NS = 3_000_000
STRETCH = 0.95


class StopSignal:
    """Set once, seen by every worker at its next look and at once by those that sleep.

    fd: an eventfd, which wakes sleepers. flag: one word, which a look costs no system call. Workers
    in several processes share both; without them the signal is this process's own."""

    def __init__(self, fd: int | None = None, flag: memoryview | None = None) -> None:
        self.fd = os.eventfd(0) if fd is None else fd
        self._flag = memoryview(bytearray(8)).cast("q") if flag is None else flag

    @property
    def is_set(self) -> bool:
        return bool(self._flag[0])

    def set(self) -> None:
        self._flag[0] = 1
        os.eventfd_write(self.fd, 1)

    def wait_until(self, due_ns: int) -> None:
        """Sleep until the monotonic time `due_ns` or until the signal is set."""
        woken = select.poll()
        woken.register(self.fd, select.POLLIN)
        while not self.is_set and (left_ns := due_ns - monotonic_ns()) > 0:
            if left_ns < LAST_STRETCH_NS:
                sleep(left_ns / 1e9)
            else:
                woken.poll(int(left_ns * STRETCH / 1e6))


def run_task(
    submit: Callable[[], Wait],
    arrivals: Iterator[int] | None,
    requests: int,
    start_ns: int,
    writer: TaskWriter,
    stop: StopSignal,
    on_done: Callable[[], bool],
    lead_in_ns: int = 0,
    in_flight: int = 1,
) -> None:
    """Run requests until told to stop.

    submit: enqueues one request; what it returns waits until that has completed.
    arrivals: nanoseconds after `start_ns`, endless; None for a closed loop.
    on_done: called when `requests` have completed; returns whether to keep the load up.
    lead_in_ns: requests that arrive so soon after `start_ns` are run alike, and do not count.
    in_flight: closed loops: so many requests are enqueued at once. One has started when it is the
    first of them.
    """
    window_ns = start_ns + lead_in_ns
    writer.start(window_ns)
    stop.wait_until(start_ns)
    completed_ns = start_ns
    remaining, more = requests, True
    flying = deque[tuple[int, int, Wait]]()
    while True:
        while more and len(flying) < min(in_flight, writer.room) and not stop.is_set:
            if arrivals is None:
                due_ns = completed_ns
            else:
                due_ns = start_ns + next(arrivals)
                if due_ns > completed_ns:
                    stop.wait_until(due_ns)
                    if stop.is_set:
                        break
            flying.append((due_ns, monotonic_ns(), submit()))
        if not flying:
            if more and not stop.is_set:
                raise RuntimeError(
                    f"there is no room for more than {writer.capacity} requests of one task: a "
                    "shorter window, or longer requests"
                )
            return
        due_ns, submitted_ns, wait = flying.popleft()
        wait()
        started_ns, completed_ns = max(submitted_ns, completed_ns), monotonic_ns()
        writer.record(due_ns, started_ns, completed_ns)
        remaining -= due_ns >= window_ns
        if remaining == 0:
            writer.done()
            more = on_done()
