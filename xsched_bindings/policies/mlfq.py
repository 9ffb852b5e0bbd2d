"""MLFQ, multi-level feedback (``mlfq.cpp``)."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from xsched_bindings.policies.base import Decision, Policy, Queues, alone, policy, ready

#: Of each level, the most urgent first.
SLICES_NS = (10_000_000, 20_000_000, 40_000_000, 80_000_000)
LOWEST = len(SLICES_NS) - 1
#: Rest that lifts a queue by a level.
RECOVERY_NS = 100_000_000
#: Recovery is looked at this often.
TICK_NS = 5_000_000


@dataclass
class _Queue:
    """used_ns: of the level's slice. rested_ns: since the last change of level. waiting_ns: since
    when it has waited for its turn."""

    level: int = 0
    used_ns: int = 0
    rested_ns: int = 0
    waiting_ns: int = 0

    def move(self, level: int) -> None:
        self.level, self.used_ns, self.rested_ns = level, 0, 0


class MultiLevelFeedback(Policy):
    """A queue begins on the top level and falls by one when it has used its level's slice; rest
    lifts it again. The most urgent level with work runs: one queue at a time, each until its slice
    is used, the longest waiting next.

    Rest is time without work, and waiting by the part 1 - 0.9 / N, N being the queues with work on
    the level: so a queue that waits long enough is lifted, however busy the levels above are.
    every_tick: as in XSched, where the longest waiting of a level is chosen anew at every look."""

    def __init__(self, every_tick: bool = False) -> None:
        self._every_tick = every_tick
        self._queues: dict[int, _Queue] = {}
        self._at_work: list[int] = []
        self._running: int | None = None
        self._decided_ns = 0

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        self._account(now_ns)
        self._queues = {queue: self._queues.get(queue, _Queue()) for queue in queues}
        at_work = ready(queues)
        for queue in set(at_work) - set(self._at_work):
            self._queues[queue].waiting_ns = now_ns
        self._at_work = at_work
        self._recover()
        self._choose(now_ns)
        if self._running is None:
            return alone(None, queues, None)
        running = self._queues[self._running]
        slice_end_ns = now_ns + SLICES_NS[running.level] - running.used_ns
        return alone(self._running, queues, min(slice_end_ns, now_ns + TICK_NS))

    def _account(self, now_ns: int) -> None:
        """For what the queues have done since the last decision."""
        passed_ns, self._decided_ns = now_ns - self._decided_ns, now_ns
        on_level = Counter(self._queues[queue].level for queue in self._at_work)
        for number, queue in self._queues.items():
            if number == self._running:
                queue.used_ns += passed_ns
            elif number in self._at_work:
                queue.rested_ns += passed_ns - passed_ns * 9 // (10 * on_level[queue.level])
            else:
                queue.rested_ns += passed_ns

    def _recover(self) -> None:
        for number in self._at_work:
            queue = self._queues[number]
            if queue.rested_ns > RECOVERY_NS:
                queue.move(max(0, queue.level - 1))

    def _choose(self, now_ns: int) -> None:
        """Whose turn it is. A queue that has used its slice, if it has just become idle, too, or
        loses its turn waits from now on, behind the others of its level."""
        before = self._running if self._running in self._queues else None
        if before is not None:
            queue = self._queues[before]
            queue.waiting_ns = now_ns
            if queue.used_ns >= SLICES_NS[queue.level]:
                queue.move(min(LOWEST, queue.level + 1))
                before = None
            if self._every_tick:
                before = None

        def rank(number: int) -> tuple[int, bool, int]:
            queue = self._queues[number]
            return queue.level, number != before, queue.waiting_ns

        self._running = min(self._at_work, key=rank, default=None)


policy("mlfq", by_turns=True, several=True, there=partial(MultiLevelFeedback, True))(
    MultiLevelFeedback
)
