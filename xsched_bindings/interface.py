"""The control plane that every platform offers: XSched's ``xqueue.h`` and ``hint.h`` in Python.

Submitting is not part of it: commands reach a queue through the stream that the queue wraps
(CUDA's through the shim, the host platform's through the stream that it is attached to).
"""

from typing import Protocol, Self

from xsched_bindings.errors import XSchedError
from xsched_bindings.types import (
    PolicyType,
    PreemptLevel,
    QueueState,
    Result,
    ResumeFlag,
    SchedulerType,
    SuspendFlag,
)


class Hinted(Protocol):
    """What takes hints, which are messages to the policy: like the library, a queue takes them
    without looking at their value; a policy clamps or ignores what is out of range, and ignores
    hints that it has no use for."""

    def hint_priority(self, priority: int) -> None:
        """``XHintPriority``: -255 to 255, larger is more urgent; values outside are clamped."""

    def hint_utilization(self, percent: int) -> None:
        """``XHintUtilization``: share of the device in percent, 0 to 100."""

    def hint_deadline(self, microseconds: int) -> None:
        """``XHintDeadline``: from ready to deadline, 1 µs or more; `NO_DEADLINE` for none."""

    def hint_laxity(self, microseconds: int, lax_priority: int, critical_priority: int) -> None:
        """``XHintLaxity``: the queue has the lax priority until it has been ready for that long
        (0 µs or more, `NO_LAXITY` for no laxity), then the critical one."""

    def hint(self, name: str, value: int) -> None:
        """One of a policy of ours, which XSched does not have: not_supported by the library."""


class Queue(Hinted, Protocol):
    """A preemptible command queue (``XQueueHandle``). A context manager that closes itself.

    handle: identifies the queue in hints, events and logs. level: as asked for. Every method raises
    `XSchedError` with the library's own result code."""

    handle: int
    level: PreemptLevel

    def set_launch_config(self, threshold: int, batch_size: int) -> None:
        """``XQueueSetLaunchConfig``. Waits for the queue, so it blocks on a suspended one.

        `threshold`: most commands launched and not yet reaped, 1 or more (0 or less keeps the
        present value). `batch_size`: a synchronisation point every so many commands, 1 to
        threshold (0 or less keeps the present value)."""

    def check_launch_config(self, threshold: int, batch_size: int) -> None:
        """Raises invalid_value where the C library would end the process."""
        if batch_size > threshold:
            raise XSchedError(
                "XQueueSetLaunchConfig",
                {"xq": self.handle, "threshold": threshold, "batch_size": batch_size},
                Result.invalid_value,
                "batch_size must not exceed threshold (the C library ends the process here)",
            )

    def set_preempt_level(self, level: PreemptLevel) -> None:
        """``XQueueSetPreemptLevel``. Waits for the queue, so it blocks on a suspended one."""

    def suspend(self, flags: SuspendFlag = SuspendFlag.none) -> None:
        """``XQueueSuspend``: stop executing, as deeply as the level allows. Re-entrant."""

    def resume(self, flags: ResumeFlag = ResumeFlag.none) -> None:
        """``XQueueResume``. Re-entrant."""

    def wait_all(self) -> None:
        """``XQueueWaitAll``: until every submitted command has completed."""

    def query(self) -> QueueState:
        """``XQueueQuery``: ready while commands are pending or in flight, else idle."""

    def count(self) -> int:
        """``XQueueProfileHwCommandCount``: commands *submitted* since creation.

        It says nothing about execution: it rises while the queue is suspended."""

    def close(self) -> None:
        """``XQueueDestroy``: resume, wait for all commands, destroy. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ControlPlane(Protocol):
    """Scheduler selection and queue creation of one platform."""

    def set_scheduler(self, scheduler: SchedulerType, policy: PolicyType) -> None:
        """``XHintSetScheduler``. Call it before queues are created: queues made earlier stay
        unknown to the new scheduler, and hints given earlier are lost."""

    def set_timeslice(self, microseconds: int) -> None:
        """``XHintTimeslice``: 100 µs to 10 s, for the policies that share by time."""

    def set_k_deadline(self, k: int) -> None:
        """``XHintKDeadline``: how many queues KEDF runs at once, 1 or more."""
