"""An XQueue over a host stream: preemption levels, launch configuration, hints.

Source: ``preempt/src/xqueue/async_xqueue.cpp``.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from xsched_bindings.errors import XSchedError
from xsched_bindings.host.launch import LaunchLog
from xsched_bindings.host.launch_worker import LaunchWorker
from xsched_bindings.host.stream import CODE_BYTES, HostStream
from xsched_bindings.interface import Queue
from xsched_bindings.policies import Policy
from xsched_bindings.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_THRESHOLD,
    PreemptLevel,
    QueueState,
    Result,
    ResumeFlag,
    SuspendFlag,
)


class QueueOwner(Protocol):
    """What a queue tells the scheduler that created it."""

    def changed(self, queue: "HostQueue", state: QueueState) -> None: ...

    def remove(self, queue: "HostQueue") -> None: ...

    def tell(self, hint: Callable[[Policy], None]) -> None: ...


class HostQueue(Queue):
    """The queue of a host stream; made by `HostScheduler.create_queue`."""

    def __init__(
        self, handle: int, stream: HostStream, level: PreemptLevel, owner: QueueOwner
    ) -> None:
        self.handle = handle
        self.level = level
        self.stream = stream
        self.suspended = False
        self._owner = owner
        self._submitted = 0
        self._closed = False
        self._suspending = threading.Lock()
        self._log = LaunchLog(DEFAULT_THRESHOLD, DEFAULT_BATCH_SIZE)
        self._worker = LaunchWorker(stream, self._log, lambda state: owner.changed(self, state))
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
        threshold = threshold if threshold > 0 else self._log.threshold
        batch_size = batch_size if batch_size > 0 else self._log.batch_size
        self.check_launch_config(threshold, batch_size)
        self._worker.wait_all()
        self._log.threshold, self._log.batch_size = threshold, batch_size

    def hint_priority(self, priority: int) -> None:
        self._tell("XHintPriority", lambda policy: policy.hint_priority(self.handle, priority))

    def hint_utilization(self, percent: int) -> None:
        self._tell("XHintUtilization", lambda policy: policy.hint_utilization(self.handle, percent))

    def hint_deadline(self, microseconds: int) -> None:
        self._tell("XHintDeadline", lambda policy: policy.hint_deadline(self.handle, microseconds))

    def hint_laxity(self, microseconds: int, lax_priority: int, critical_priority: int) -> None:
        hint = self.handle, microseconds, lax_priority, critical_priority
        self._tell("XHintLaxity", lambda policy: policy.hint_laxity(*hint))

    def hint(self, name: str, value: int) -> None:
        method = f"hint_{name}"
        self._tell(method, lambda policy: getattr(policy, method)(self.handle, value))

    def _tell(self, function: str, hint: Callable[[Policy], None]) -> None:
        self._check_open(function)
        self._owner.tell(hint)

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

    def end(self) -> Callable[[], None]:
        """Called by the stream for what waits for a request's end."""
        return self._worker.end()

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
        self._owner.remove(self)
        self.resume()
        self._closed = True
        self._worker.destroy()
        self.stream.interceptor = None

    def _check_open(self, function: str) -> None:
        if self._closed:
            raise XSchedError(function, {"xq": self.handle}, Result.not_found, "it was destroyed")
