"""XSched's scheduling policies, pure: (queues, hints, now) → which queues run, when to look again.

They hold hints and time slices but no thread, lock or clock, so the live scheduler, the tests and
a simulator share them. Source: ``sched/src/policy/*.cpp``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from xsched_bindings.errors import XSchedError
from xsched_bindings.types import (
    PRIORITY_DEFAULT,
    PRIORITY_MAX,
    PRIORITY_MIN,
    TIMESLICE_DEFAULT_US,
    TIMESLICE_MAX_US,
    TIMESLICE_MIN_US,
    UTILIZATION_MAX,
    UTILIZATION_MIN,
    PolicyType,
    Result,
)


@dataclass(frozen=True)
class Decision:
    """Handles of the queues that may run (all others are suspended), and when to decide anew
    without an event: monotonic nanoseconds, or None."""

    run: frozenset[int]
    wake_at_ns: int | None = None


class Policy(Protocol):
    def decide(self, ready: Mapping[int, bool], now_ns: int) -> Decision:
        """`ready` maps the handle of every queue to its state, in order of creation."""

    def hint_priority(self, handle: int, priority: int) -> None: ...

    def hint_utilization(self, handle: int, percent: int) -> None: ...

    def hint_deadline(self, handle: int, microseconds: int) -> None: ...

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None: ...

    def set_timeslice(self, microseconds: int) -> None: ...

    def set_k_deadline(self, k: int) -> None: ...


class _Hints:
    """What a policy does with hints that it has no use for: nothing, as in XSched."""

    def hint_priority(self, handle: int, priority: int) -> None: ...

    def hint_utilization(self, handle: int, percent: int) -> None: ...

    def hint_deadline(self, handle: int, microseconds: int) -> None: ...

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None: ...

    def set_timeslice(self, microseconds: int) -> None: ...

    def set_k_deadline(self, k: int) -> None: ...


class HighestPriorityFirst(_Hints):
    """HPF (``hpf.cpp``): queues below the highest *ready* priority are suspended, equals run
    together. The host platform is one device, so "per device" means all queues here."""

    def __init__(self) -> None:
        self._priorities: dict[int, int] = {}

    def hint_priority(self, handle: int, priority: int) -> None:
        self._priorities[handle] = min(max(priority, PRIORITY_MIN), PRIORITY_MAX)

    def decide(self, ready: Mapping[int, bool], now_ns: int) -> Decision:
        priority = {queue: self._priorities.get(queue, PRIORITY_DEFAULT) for queue in ready}
        highest = max((priority[q] for q in ready if ready[q]), default=PRIORITY_MIN)
        return Decision(frozenset(q for q in ready if priority[q] >= highest))


class UtilizationPartition(_Hints):
    """UP (``up.cpp``): the queues that have a utilisation take turns, each for its part of the
    time slice. Before any queue has one, everything runs; from then on queues without one starve.
    """

    def __init__(self) -> None:
        self._utilization: dict[int, int] = {}
        self._timeslice_ns = TIMESLICE_DEFAULT_US * 1_000
        self._running: int | None = None
        self._slice_end_ns = 0

    def hint_utilization(self, handle: int, percent: int) -> None:
        if UTILIZATION_MIN <= percent <= UTILIZATION_MAX:
            self._utilization[handle] = percent

    def set_timeslice(self, microseconds: int) -> None:
        if TIMESLICE_MIN_US <= microseconds <= TIMESLICE_MAX_US:
            self._timeslice_ns = microseconds * 1_000

    def decide(self, ready: Mapping[int, bool], now_ns: int) -> Decision:
        self._utilization = {q: u for q, u in self._utilization.items() if q in ready}
        if not self._utilization:
            return Decision(frozenset(ready))
        if self._running is not None and ready.get(self._running) and now_ns < self._slice_end_ns:
            return Decision(frozenset({self._running}), self._slice_end_ns)
        self._running = self._next(ready)
        if self._running is None:
            return Decision(frozenset())
        total = sum(self._utilization.values()) or 1
        share = self._timeslice_ns * self._utilization[self._running] // total
        self._slice_end_ns = now_ns + share
        return Decision(frozenset({self._running}), self._slice_end_ns)

    def _next(self, ready: Mapping[int, bool]) -> int | None:
        """The next ready queue after the running one, round robin in the order of handles."""
        turns = sorted(self._utilization)
        if self._running in self._utilization:
            after = turns.index(self._running) + 1
            turns = turns[after:] + turns[:after]
        return next((queue for queue in turns if ready[queue]), None)


POLICIES: dict[PolicyType, Callable[[], Policy]] = {
    PolicyType.hpf: HighestPriorityFirst,
    PolicyType.up: UtilizationPartition,
}


def create_policy(policy: PolicyType) -> Policy:
    """A fresh policy without hints.

    Raises `XSchedError`: invalid_value for "unknown", as ``XHintSetScheduler`` answers, and
    not_supported for one that this platform does not have (where XSched would end the process).
    """
    arguments = {"policy": policy.name}
    if policy is PolicyType.unknown:
        raise XSchedError("XHintSetScheduler", arguments, Result.invalid_value)
    if policy not in POLICIES:
        known = ", ".join(known.name for known in POLICIES)
        raise XSchedError(
            "XHintSetScheduler",
            arguments,
            Result.not_supported,
            f"the host platform implements {known}",
        )
    return POLICIES[policy]()
