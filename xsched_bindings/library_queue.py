"""An XQueue of the C library (``include/xsched/xqueue.h``, ``include/xsched/hint.h``)."""

from collections.abc import Callable
from typing import Any

from xsched_bindings.errors import XSchedError
from xsched_bindings.interface import Queue
from xsched_bindings.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_THRESHOLD,
    PreemptLevel,
    QueueState,
    Result,
    ResumeFlag,
    SuspendFlag,
)


class LibraryQueue(Queue):
    """Made by a platform's ``create_queue``. call: `Library.call`. owned: whether `close` destroys
    the queue and its hardware queue; one that the library made by itself is left to it."""

    def __init__(
        self, call: Callable[..., int], handle: int, hwq: int, level: PreemptLevel, *, owned: bool
    ) -> None:
        self.handle = handle
        self.hwq = hwq
        self.level = level
        self.closed = False
        self._library_call = call
        self._owned = owned
        # What the library has; 0 while unknown: another's queue may have been configured.
        self._threshold = DEFAULT_THRESHOLD if owned else 0
        self._batch_size = DEFAULT_BATCH_SIZE if owned else 0

    def call(self, function: str, **arguments: Any) -> int:
        """A C function on this queue. Once closed it is not_found without asking the library, which
        may have given the handle to another queue."""
        if self.closed:
            shown = {"xq": self.handle, **arguments}
            raise XSchedError(function, shown, Result.not_found, "the queue was closed")
        return self._library_call(function, xq=self.handle, **arguments)

    def set_launch_config(self, threshold: int, batch_size: int) -> None:
        given = {"threshold": threshold, "batch_size": batch_size}
        if threshold <= 0 and batch_size <= 0:
            self.call("XQueueSetLaunchConfig", **given)
            return
        threshold = threshold if threshold > 0 else self._threshold
        batch_size = batch_size if batch_size > 0 else self._batch_size
        if not (threshold and batch_size):
            shown = {"xq": self.handle, **given}
            detail = "give both: this queue was made elsewhere"
            raise XSchedError("XQueueSetLaunchConfig", shown, Result.not_allowed, detail)
        self.check_launch_config(threshold, batch_size)
        # Always both, so that the library compares what was compared here.
        self.call("XQueueSetLaunchConfig", threshold=threshold, batch_size=batch_size)
        self._threshold, self._batch_size = threshold, batch_size

    def hint_priority(self, priority: int) -> None:
        self.call("XHintPriority", prio=priority)

    def hint_utilization(self, percent: int) -> None:
        self.call("XHintUtilization", util=percent)

    def hint_deadline(self, microseconds: int) -> None:
        self.call("XHintDeadline", ddl_us=microseconds)

    def hint_laxity(self, microseconds: int, lax_priority: int, critical_priority: int) -> None:
        self.call(
            "XHintLaxity", lax_us=microseconds, lax_prio=lax_priority, crit_prio=critical_priority
        )

    def hint(self, name: str, value: int) -> None:
        shown = {"xq": self.handle, "value": value}
        raise XSchedError(f"hint_{name}", shown, Result.not_supported, "XSched has no such hint")

    def set_preempt_level(self, level: PreemptLevel) -> None:
        """See `Queue`. A level above what the device can do is a success without effect; nothing
        in the C API tells."""
        self.call("XQueueSetPreemptLevel", level=level)
        self.level = PreemptLevel(level)

    def suspend(self, flags: SuspendFlag = SuspendFlag.none) -> None:
        self.call("XQueueSuspend", flags=flags)

    def resume(self, flags: ResumeFlag = ResumeFlag.none) -> None:
        self.call("XQueueResume", flags=flags)

    def wait_all(self) -> None:
        self.call("XQueueWaitAll")

    def query(self) -> QueueState:
        return QueueState(self.call("XQueueQuery"))

    def count(self) -> int:
        return self.call("XQueueProfileHwCommandCount")

    def close(self) -> None:
        """``XQueueDestroy``, then ``HwQueueDestroy``. A queue that is not owned is only let go."""
        if self.closed:
            return
        self.closed = True
        if not self._owned:
            return
        try:
            self._library_call("XQueueDestroy", xq=self.handle)
        finally:
            self._library_call("HwQueueDestroy", hwq=self.hwq)
