"""CFS, completely fair (``cfs.cpp``)."""

from functools import partial

from xsched_bindings.policies.base import (
    PRIORITY,
    Decision,
    Policy,
    Queues,
    alone,
    clamped,
    policy,
    ready,
)
from xsched_bindings.types import PRIORITY_DEFAULT, PRIORITY_MAX

SLICE_NS = 1_000_000


class CompletelyFair(Policy):
    """The ready queue that has had least runs, for a millisecond at most before the next look.
    What a queue has had is its time by its weight, and the weight is 1024 · 1.2^priority.

    A queue that becomes ready has had at least as much as the least of those at work, so being idle
    earns no credit, and a newcomer waits for no old account to be settled. credit: as in XSched,
    where it does, and a newcomer with a hint has had nothing."""

    def __init__(self, credit: bool = False) -> None:
        self._credit = credit
        self._priority: dict[int, int] = {}
        self._had: dict[int, int] = {}
        self._floor = 0
        self._at_work: list[int] = []
        self._running: int | None = None
        self._decided_ns = 0

    def hint_priority(self, handle: int, priority: int) -> None:
        self._priority[handle] = clamped(priority)

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        self._charge(now_ns)
        self._had = {queue: had for queue, had in self._had.items() if queue in queues}
        at_work = ready(queues)
        for queue in at_work:
            if self._credit:
                self._had.setdefault(queue, 0)
            elif queue not in self._at_work or queue not in self._had:
                self._had[queue] = max(self._had.get(queue, 0), self._floor)
        self._at_work = at_work
        self._running = min(at_work, key=self._had.__getitem__, default=None)
        wake_at_ns = None if self._running is None else now_ns + SLICE_NS
        return alone(self._running, queues, wake_at_ns)

    def _charge(self, now_ns: int) -> None:
        """To the queue that has run since the last decision."""
        if self._running is not None:
            self._had[self._running] += (now_ns - self._decided_ns) * self._price(self._running)
            self._floor = max(self._floor, min(self._had[queue] for queue in self._at_work))
        self._decided_ns = now_ns

    def _price(self, queue: int) -> int:
        """Of a nanosecond: 1.2^-priority, scaled to an integer. As a float, what a queue of
        priority 0 runs would be lost beside what one of -255 has run up."""
        priority = self._priority.get(queue, PRIORITY_DEFAULT)
        return int(6 ** (PRIORITY_MAX - priority) * 5 ** (PRIORITY_MAX + priority))


policy("cfs", hints=(PRIORITY,), by_turns=True, several=True, there=partial(CompletelyFair, True))(
    CompletelyFair
)
