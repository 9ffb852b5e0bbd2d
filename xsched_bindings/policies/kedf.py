"""KEDF, the k earliest deadlines first (``kedf.cpp``)."""

from collections.abc import Sequence

from xsched_bindings.policies.base import (
    DEADLINE,
    Decision,
    Policy,
    Problem,
    Queues,
    Task,
    missing,
    policy,
)


def _check(tasks: Sequence[Task], k: int) -> Problem | None:
    why = "policy kedf puts a task without a deadline behind all others"
    if found := missing(DEADLINE, tasks, why):
        return found
    if k >= len(tasks):
        return Problem(
            "k",
            k,
            f"policy kedf runs so many of {len(tasks)} tasks at once: it would never suspend one",
            f"1 to {len(tasks) - 1}",
        )
    return None


@policy("kedf", hints=(DEADLINE,), settings=("k",), several=True, check=_check)
class KEarliestDeadlineFirst(Policy):
    """A queue's deadline is the time when it became ready plus its hint. The k earliest run; then
    come ready queues without a deadline, and idle ones last. Equal deadlines go by time of arrival.

    Nothing is known of requests: work that is added to a queue which is ready keeps the deadline
    that the queue has."""

    def __init__(self) -> None:
        self._k = 1
        self._deadline_ns: dict[int, int] = {}

    def set_k_deadline(self, k: int) -> None:
        if k >= 1:
            self._k = k

    def hint_deadline(self, handle: int, microseconds: int) -> None:
        """Negative, so `NO_DEADLINE` too: none."""
        self._deadline_ns.pop(handle, None)
        if microseconds >= 0:
            self._deadline_ns[handle] = microseconds * 1_000

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        order = sorted(queues, key=lambda queue: self._urgency(queue, queues[queue]))
        return Decision(frozenset(order[: self._k]))

    def _urgency(self, queue: int, ready_ns: int | None) -> tuple[int, int, int]:
        if ready_ns is None:
            return (2, 0, 0)
        if queue not in self._deadline_ns:
            return (1, 0, ready_ns)
        return (0, ready_ns + self._deadline_ns[queue], ready_ns)
