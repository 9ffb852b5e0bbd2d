"""An XQueue over a host stream: launch worker, preemption levels, launch configuration.

Source: ``preempt/src/xqueue/async_xqueue.cpp``, ``launch_worker.cpp`` and ``command_buffer.cpp``.
Whole requests are handed to the launch worker and whole bursts to the executor: a hand-off for
every command would cost 5-10 % of BERT-base.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol, Self

from xsched_bindings.errors import DeviceLost, XSchedError
from xsched_bindings.host.launch import LaunchLog
from xsched_bindings.host.policies import Policy
from xsched_bindings.host.stream import CODE_BYTES, HostStream, marker
from xsched_bindings.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_THRESHOLD,
    PreemptLevel,
    QueueState,
    Result,
    ResumeFlag,
    SuspendFlag,
)

#: Commands of one write to the executor: bounds how long a suspension waits for the launch lock.
BURST = 1024


class _Destroy:
    """The command that ends the launch worker."""


class LaunchWorker(threading.Thread):
    """Launches submitted commands under the threshold, and reaps them, unless paused.

    on_state(state) is called when the queue becomes ready (on the submitting thread, before the
    command is buffered) and idle (on this thread).
    """

    def __init__(
        self, stream: HostStream, log: LaunchLog, on_state: Callable[[QueueState], None]
    ) -> None:
        super().__init__(name=f"launch-worker-{stream.pid}", daemon=True)
        self.state = QueueState.idle
        self.error: DeviceLost | None = None
        self._stream = stream
        self._log = log
        self._on_state = on_state
        self._marker = marker(0)
        self._buffer: SimpleQueue[bytes | threading.Event | type[_Destroy]] = SimpleQueue()
        self._pending = 0  # entries in the buffer or being worked on, guarded by _state_lock
        self._state_lock = threading.Lock()
        self._running = threading.Event()
        self._running.set()
        self._launching = threading.Lock()  # held around "not paused, so launch"

    # --- called by other threads --------------------------------------------------------------

    def enqueue(self, codes: bytes) -> None:
        with self._state_lock:
            self._raise_if_dead()
            if self.state is QueueState.idle:
                self.state = QueueState.ready
                self._on_state(QueueState.ready)
            self._pending += 1
            self._buffer.put(codes)

    def wait_all(self) -> None:
        """Block until every command buffered so far has completed and been reaped."""
        with self._state_lock:
            self._raise_if_dead()
            if self.state is QueueState.idle:
                return
            done = threading.Event()
            self._pending += 1
            self._buffer.put(done)
        done.wait()
        self._raise_if_dead()

    def pause(self) -> None:
        """Launch and reap nothing from the moment that this returns."""
        with self._launching:
            self._running.clear()

    def unpause(self) -> None:
        self._running.set()

    def reconfigure(self, threshold: int, batch_size: int) -> None:
        """Only while idle."""
        self._log.threshold, self._log.batch_size = threshold, batch_size

    def destroy(self) -> None:
        self._buffer.put(_Destroy)
        self.join()

    def _raise_if_dead(self) -> None:
        if self.error is not None:
            raise DeviceLost(str(self.error))

    # --- the worker's own thread --------------------------------------------------------------

    def run(self) -> None:
        entry: bytes | threading.Event | type[_Destroy] | None = None
        try:
            while entry is not _Destroy:
                entry = None
                try:
                    entry = self._buffer.get_nowait()
                except Empty:
                    self._drain()
                    entry = self._buffer.get()
                self._process(entry)
        except DeviceLost as error:
            self._die(error, entry)

    def _process(self, entry: bytes | threading.Event | type[_Destroy]) -> None:
        if isinstance(entry, bytes):
            self._launch(entry)
            self._finish_entry()
            return
        self._synchronize_all()
        self._finish_entry()
        if isinstance(entry, threading.Event):
            entry.set()

    def _launch(self, codes: bytes) -> None:
        at, end = 0, len(codes)
        while at < end:
            self._running.wait()
            with self._launching:
                if not self._running.is_set():
                    continue
                runs = self._log.launch(min((end - at) // CODE_BYTES, BURST))
                burst = []
                for run in runs:
                    burst.append(codes[at : at + run * CODE_BYTES])
                    at += run * CODE_BYTES
                self._stream.write(self._marker.join(burst))
            if at < end and self._log.in_flight >= self._log.threshold:
                self._synchronize()

    def _synchronize(self) -> None:
        """Wait for the oldest synchronisation point, then reap it, once not paused."""
        if not self._log.sync_points:
            self._mark_all()
        self._stream.wait_marker()
        while True:
            self._running.wait()
            with self._launching:
                if self._running.is_set():
                    self._log.reap()
                    return

    def _synchronize_all(self) -> None:
        if self._log.in_flight and not self._log.ends_in_sync_point:
            self._mark_all()
        while self._log.sync_points:
            self._synchronize()

    def _mark_all(self) -> None:
        with self._launching:
            self._log.mark_all()
            self._stream.write(self._marker)

    def _drain(self) -> None:
        """The buffer is empty: synchronise step by step while it stays so, then go idle."""
        while self._log.in_flight and self._buffer.empty():
            self._synchronize()
        self._become_idle()

    def _finish_entry(self) -> None:
        with self._state_lock:
            self._pending -= 1

    def _become_idle(self) -> None:
        with self._state_lock:
            if self._pending == 0 and not self._log.in_flight and self.state is QueueState.ready:
                self.state = QueueState.idle
                self._on_state(QueueState.idle)

    def _die(self, error: DeviceLost, entry: object) -> None:
        """The executor has gone: fail whoever waits now or later."""
        with self._state_lock:
            self.error = error
        while True:
            if isinstance(entry, threading.Event):
                entry.set()
            try:
                entry = self._buffer.get_nowait()
            except Empty:
                return


class QueueOwner(Protocol):
    """What a queue tells the scheduler that created it."""

    def queue_changed(self, queue: "HostQueue", state: QueueState) -> None: ...

    def queue_closed(self, queue: "HostQueue") -> None: ...

    def hint(self, hint: Callable[[Policy], None]) -> None:
        """Hand a hint to the live policy; without one it is lost, as in XSched."""


class HostQueue:
    """`xsched_bindings.interface.Queue` for a host stream; made by `HostScheduler.create_queue`."""

    def __init__(
        self,
        handle: int,
        stream: HostStream,
        level: PreemptLevel,
        owner: QueueOwner,
    ) -> None:
        self.handle = handle
        self.level = level
        self.stream = stream
        self.threshold = DEFAULT_THRESHOLD
        self.batch_size = DEFAULT_BATCH_SIZE
        self.suspended = False
        self._owner = owner
        self._submitted = 0
        self._closed = False
        self._suspending = threading.Lock()
        self._worker = LaunchWorker(
            stream,
            LaunchLog(self.threshold, self.batch_size),
            lambda state: owner.queue_changed(self, state),
        )
        stream.interceptor = self
        self._worker.start()

    def submit(self, codes: bytes) -> None:
        """Called by the stream for every request submitted to it."""
        self._submitted += len(codes) // CODE_BYTES
        if codes:
            self._worker.enqueue(codes)

    def set_launch_config(self, threshold: int, batch_size: int) -> None:
        self._check_open("XQueueSetLaunchConfig")
        if threshold <= 0 and batch_size <= 0:
            return
        threshold = threshold if threshold > 0 else self.threshold
        batch_size = batch_size if batch_size > 0 else self.batch_size
        if batch_size > threshold:
            raise XSchedError(
                "XQueueSetLaunchConfig",
                {"xq": self.handle, "threshold": threshold, "batch_size": batch_size},
                Result.invalid_value,
                "batch_size must not exceed threshold (the C library ends the process here)",
            )
        self._worker.wait_all()
        self._worker.reconfigure(threshold, batch_size)
        self.threshold, self.batch_size = threshold, batch_size

    def hint_priority(self, priority: int) -> None:
        self._check_open("XHintPriority")
        self._owner.hint(lambda policy: policy.hint_priority(self.handle, priority))

    def hint_utilization(self, percent: int) -> None:
        self._check_open("XHintUtilization")
        self._owner.hint(lambda policy: policy.hint_utilization(self.handle, percent))

    def hint_deadline(self, microseconds: int) -> None:
        self._check_open("XHintDeadline")
        self._owner.hint(lambda policy: policy.hint_deadline(self.handle, microseconds))

    def hint_laxity(self, microseconds: int, lax_priority: int, critical_priority: int) -> None:
        self._check_open("XHintLaxity")
        self._owner.hint(
            lambda policy: policy.hint_laxity(
                self.handle, microseconds, lax_priority, critical_priority
            )
        )

    def set_preempt_level(self, level: PreemptLevel) -> None:
        self._check_open("XQueueSetPreemptLevel")
        self._worker.wait_all()
        self.level = PreemptLevel(level)

    def suspend(self, flags: SuspendFlag = SuspendFlag.none) -> None:
        self._check_open("XQueueSuspend")
        with self._suspending:
            if self.suspended:
                return
            self.suspended = True
            if flags & (SuspendFlag.wait_all | SuspendFlag.wait_idle):
                self._worker.wait_all()
            self._worker.pause()
            if self.level >= PreemptLevel.deactivate:
                self.stream.hold()
            if self.level >= PreemptLevel.interrupt:
                self.stream.interrupt()
        if flags & SuspendFlag.sync_hw_queue:
            self.settled()

    def settled(self) -> int:
        """Wait until the level's own mechanism has taken effect; commands completed by then.

        Only level 3 takes time (about 0.1 ms until the operating system has stopped the executor);
        what completes after this on a suspended queue counts against the level's bound."""
        if self.suspended and self.level >= PreemptLevel.interrupt:
            self.stream.wait_stopped()
        return self.stream.completed

    def resume(self, flags: ResumeFlag = ResumeFlag.none) -> None:
        self._check_open("XQueueResume")
        if flags & ResumeFlag.drop_commands:
            raise XSchedError(
                "XQueueResume", {"xq": self.handle, "flags": flags.name}, Result.not_supported
            )
        with self._suspending:
            if not self.suspended:
                return
            self.suspended = False
            if self.level >= PreemptLevel.interrupt:
                self.stream.restore()
            if self.level >= PreemptLevel.deactivate:
                self.stream.release()
            self._worker.unpause()

    def wait_all(self) -> None:
        self._check_open("XQueueWaitAll")
        self._worker.wait_all()

    def query(self) -> QueueState:
        self._check_open("XQueueQuery")
        return self._worker.state

    def count(self) -> int:
        self._check_open("XQueueProfileHwCommandCount")
        return self._submitted

    def close(self) -> None:
        if self._closed:
            return
        self._owner.queue_closed(self)
        self.resume()
        self._closed = True
        self._worker.destroy()
        self.stream.interceptor = None

    def _check_open(self, function: str) -> None:
        if self._closed:
            raise XSchedError(function, {"xq": self.handle}, Result.not_found, "it was destroyed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
