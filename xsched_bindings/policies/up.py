"""UP, utilization partition (``up.cpp``)."""

from collections.abc import Sequence

from xsched_bindings.policies.base import (
    UTILIZATION,
    Decision,
    Policy,
    Problem,
    Queues,
    Task,
    missing,
    policy,
    ready,
)
from xsched_bindings.types import (
    TIMESLICE_DEFAULT_US,
    TIMESLICE_MAX_US,
    TIMESLICE_MIN_US,
    UTILIZATION_MAX,
    UTILIZATION_MIN,
)

#: A slice of no length would be decided about without end. XSched counts microseconds.
SHORTEST_SLICE_NS = 1_000


def _check(tasks: Sequence[Task], k: int) -> Problem | None:
    if found := missing(UTILIZATION, tasks, "policy up starves a task without a utilization"):
        return found
    for task in tasks:
        if task.hint(UTILIZATION) == 0:
            problem = "policy up never gives such a task its turn"
            return Problem(UTILIZATION.name, 0, problem, f"1 to {UTILIZATION_MAX}")
    total = sum(task.hint(UTILIZATION) or 0 for task in tasks)
    if total > UTILIZATION_MAX:
        return Problem(
            UTILIZATION.name,
            total,
            "the shares exceed the device",
            f"a sum up to {UTILIZATION_MAX}",
        )
    return None


@policy("up", hints=(UTILIZATION,), settings=("timeslice_us",), by_turns=True, check=_check)
class UtilizationPartition(Policy):
    """The queues that have a utilisation take turns, each for its part of the time slice. Before
    any queue has one, everything runs; from then on queues without one starve."""

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

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        self._utilization = {q: u for q, u in self._utilization.items() if q in queues}
        if not self._utilization:
            return Decision(frozenset(queues))
        at_work = ready(queues)
        if self._running in at_work and now_ns < self._slice_end_ns:
            return Decision(frozenset({self._running}), self._slice_end_ns)
        self._running = self._next(at_work)
        if self._running is None:
            return Decision(frozenset())
        self._slice_end_ns = now_ns + self._slice_ns(self._running)
        return Decision(frozenset({self._running}), self._slice_end_ns)

    def _slice_ns(self, queue: int) -> int:
        total = sum(self._utilization.values())
        if not total:
            return TIMESLICE_DEFAULT_US * 1_000
        return max(self._timeslice_ns * self._utilization[queue] // total, SHORTEST_SLICE_NS)

    def _next(self, at_work: list[int]) -> int | None:
        """The next ready queue after the running one, round robin in the order of handles."""
        turns = sorted(self._utilization)
        if self._running in self._utilization:
            after = turns.index(self._running) + 1
            turns = turns[after:] + turns[:after]
        return next((queue for queue in turns if queue in at_work), None)
