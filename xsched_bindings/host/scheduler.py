"""The host platform's scheduler: events in, policy decisions out, everything in a log.

Source: ``sched/src/scheduler/local.cpp``, ``preempt/src/sched/agent.cpp``, ``executor.cpp``: a
thread of its own takes queue events, asks the policy, and executes the changes, resumptions first.
"""

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic_ns
from typing import NamedTuple

from xsched_bindings.errors import DeviceLost, XSchedError
from xsched_bindings.host.queue import HostQueue
from xsched_bindings.host.stream import HostStream
from xsched_bindings.policies import Policy, create_policy
from xsched_bindings.types import PolicyType, PreemptLevel, QueueState, Result, SchedulerType


class Event(NamedTuple):
    """One line of the scheduler's log.

    at_ns: monotonic nanoseconds. name: create, destroy, ready, idle, suspend, resume. completed:
    commands that the queue's stream had completed at that moment; for "suspend", once the level's
    mechanism had taken effect, so the difference to the next "resume" is what the level let pass.
    was_ready: whether the queue had work pending, so that a suspension of it is a preemption."""

    at_ns: int
    name: str
    queue: int
    completed: int
    was_ready: bool


class HostScheduler:
    """The control plane of the host platform (`xsched_bindings.interface.ControlPlane`).

    One instance stands for what the C library keeps per process. `log` grows until it is read."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self._handles = itertools.count(1)
        self._current = _Scheduling(None, self.log)

    def set_scheduler(self, scheduler: SchedulerType, policy: PolicyType | str) -> None:
        """See `ControlPlane`. policy: XSched's, or the name of any in `POLICIES`."""
        if scheduler is SchedulerType.unknown:
            shown = {"scheduler": scheduler.name}
            raise XSchedError("XHintSetScheduler", shown, Result.invalid_value)
        if scheduler is SchedulerType.global_:
            detail = "the host platform has no server; its scheduler is local"
            shown = {"scheduler": "global"}
            raise XSchedError("XHintSetScheduler", shown, Result.not_supported, detail)
        name = policy.name if isinstance(policy, PolicyType) else policy
        chosen = create_policy(name) if scheduler is SchedulerType.local else None
        self.close()
        self._current = _Scheduling(chosen, self.log)

    def set_timeslice(self, microseconds: int) -> None:
        self._current.tell(lambda policy: policy.set_timeslice(microseconds))

    def set_k_deadline(self, k: int) -> None:
        self._current.tell(lambda policy: policy.set_k_deadline(k))

    def create_queue(self, stream: HostStream, level: PreemptLevel) -> HostQueue:
        """``XQueueCreate``. From now on `stream` submits through the queue. If it has one already,
        this returns that one, as the library does."""
        if isinstance(stream.interceptor, HostQueue):
            return stream.interceptor
        queue = HostQueue(next(self._handles), stream, PreemptLevel(level), self._current)
        self._current.add(queue)
        return queue

    @property
    def error(self) -> BaseException | None:
        """What ended the scheduler's thread, if anything did."""
        return self._current.error

    def close(self) -> None:
        """End the scheduler. Queues that it knew go on unscheduled, resumed."""
        self._current.stop()
        self._current = _Scheduling(None, self.log)


class _Scheduling:
    """One choice of scheduler. A queue belongs to the one that was there when it was created, and
    to no other: queues from before a change are unknown to the new one, as in XSched.

    policy: asked by a thread of its own, the local scheduler's worker, to whose inbox other threads
    post; None of the app-managed scheduler, whose queues are only logged and whose hints are lost.
    """

    def __init__(self, policy: Policy | None, log: list[Event]) -> None:
        self.error: BaseException | None = None
        self._log = log
        self._queues: dict[int, HostQueue] = {}
        self._ready_since: dict[int, int | None] = {}
        self._suspended: set[int] = set()
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._policy = policy
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        if policy is not None:
            self._thread.start()

    def tell(self, message: Callable[[Policy], None]) -> None:
        policy = self._policy
        if policy is not None:
            self._inbox.put(lambda: message(policy))

    def add(self, queue: HostQueue) -> None:
        self._record(queue, "create", queue.stream.completed, was_ready=False)
        self._and_wait(lambda: self._add(queue))

    def changed(self, queue: HostQueue, state: QueueState) -> None:
        ready = state is QueueState.ready
        at_ns = self._record(queue, state.name, queue.stream.completed, was_ready=ready)
        if self.error is not None:
            raise DeviceLost(f"the scheduler has ended: {self.error!r}")
        if self._policy is not None:
            self._inbox.put(lambda: self._set_ready(queue.handle, at_ns if ready else None))

    def remove(self, queue: HostQueue) -> None:
        self._and_wait(lambda: self._remove(queue))
        self._record(queue, "destroy", queue.stream.completed, was_ready=False)

    def stop(self) -> None:
        if self._policy is not None:
            self._inbox.put(None)
            self._thread.join()

    def _and_wait(self, change: Callable[[], None]) -> None:
        """Post a change and wait until it has been made."""
        if self._policy is None:
            return
        done = threading.Event()
        self._inbox.put(change)
        self._inbox.put(done.set)
        while self._thread.is_alive() and not done.wait(0.1):
            pass

    def _record(self, queue: HostQueue, name: str, completed: int, was_ready: bool) -> int:
        at_ns = monotonic_ns()
        self._log.append(Event(at_ns, name, queue.handle, completed, was_ready))
        return at_ns

    # --- the scheduler's own thread -----------------------------------------------------------

    def _add(self, queue: HostQueue) -> None:
        self._queues[queue.handle] = queue
        self._ready_since[queue.handle] = None

    def _remove(self, queue: HostQueue) -> None:
        self._queues.pop(queue.handle, None)
        self._ready_since.pop(queue.handle, None)
        self._suspended.discard(queue.handle)

    def _set_ready(self, handle: int, since_ns: int | None) -> None:
        if handle in self._ready_since:
            self._ready_since[handle] = since_ns

    def _run(self) -> None:
        assert self._policy is not None
        wake_at_ns: int | None = None
        try:
            while self._receive(wake_at_ns):
                decision = self._policy.decide(self._ready_since, monotonic_ns())
                wake_at_ns = decision.wake_at_ns
                suspend = set(self._queues) - decision.run
                self._resume(self._suspended - suspend)
                self._suspend(suspend - self._suspended)
                self._suspended = suspend
            self._resume(self._suspended)
        except BaseException as error:  # an executor has gone, or the policy is wrong
            self.error = error
            for queue in self._queues.values():  # whoever waits for one would wait for ever
                with suppress(DeviceLost, OSError, XSchedError):
                    queue.resume()

    def _receive(self, wake_at_ns: int | None) -> bool:
        """Take all messages that are there, waiting for the first or the timer; False: stop."""
        try:
            wait_s = None if wake_at_ns is None else max(0, wake_at_ns - monotonic_ns()) / 1e9
            message = self._inbox.get(timeout=wait_s)
            while message is not None:
                message()
                message = self._inbox.get_nowait()
        except Empty:
            return True
        return False

    def _resume(self, handles: set[int]) -> None:
        for handle in sorted(handles):
            queue = self._queues[handle]
            was_ready = self._ready_since[handle] is not None
            self._record(queue, "resume", queue.stream.completed, was_ready)
            queue.resume()

    def _suspend(self, handles: set[int]) -> None:
        queues = [self._queues[handle] for handle in sorted(handles)]
        for queue in queues:
            queue.suspend()
        for queue in queues:
            was_ready = self._ready_since[queue.handle] is not None
            self._record(queue, "suspend", queue.settled(), was_ready)
