"""LAX, laxity (``lax.cpp``)."""

from collections.abc import Sequence
from typing import NamedTuple

from xsched_bindings.policies.base import (
    LAXITY,
    PRIORITY,
    Decision,
    Policy,
    Problem,
    Queues,
    Task,
    clamped,
    policy,
    ready,
)
from xsched_bindings.types import PRIORITY_DEFAULT, PRIORITY_MIN


class _Hint(NamedTuple):
    laxity_ns: int
    lax: int
    critical: int


#: Of a queue without a hint: its priority never changes.
_NO_HINT = _Hint(0, PRIORITY_DEFAULT, PRIORITY_DEFAULT)


def _check(tasks: Sequence[Task], k: int) -> Problem | None:
    for task in tasks:
        priority = task.hint(PRIORITY)
        if task.hint(LAXITY) is None and priority:
            return Problem(
                LAXITY.name,
                "null",
                f"policy lax ignores the priority ({priority}) of a task without a laxity",
                "0 or more",
                "give it one, or priority 0",
                task.name,
            )
    if not any(task.hint(PRIORITY) for task in tasks):
        return Problem(
            PRIORITY.name,
            0,
            "policy lax would never suspend one: a task has priority 0 until its laxity is used up "
            "and its own from then on",
            remedy="give a task that has a laxity_us another priority",
        )
    return None


@policy("lax", hints=(PRIORITY, LAXITY), equal_suspends=False, several=True, check=_check)
class Laxity(Policy):
    """Highest priority first with two priorities a queue: the lax one until it has been ready for
    its laxity, then the critical one. An idle queue has its lax one."""

    def __init__(self) -> None:
        self._hints: dict[int, _Hint] = {}

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None:
        """Negative, so `NO_LAXITY` too: critical as soon as there is work."""
        laxity_ns = max(0, microseconds) * 1_000
        self._hints[handle] = _Hint(laxity_ns, clamped(lax_priority), clamped(critical_priority))

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        at_work = ready(queues)
        priority = {queue: self._priority(queue, since, now_ns) for queue, since in queues.items()}
        highest = max((priority[queue] for queue in at_work), default=PRIORITY_MIN)
        expiries = (
            since + self._hints[queue].laxity_ns
            for queue, since in queues.items()
            if since is not None and queue in self._hints
        )
        return Decision(
            frozenset(queue for queue in queues if priority[queue] >= highest),
            min((expiry for expiry in expiries if now_ns < expiry), default=None),
        )

    def _priority(self, queue: int, ready_ns: int | None, now_ns: int) -> int:
        hint = self._hints.get(queue, _NO_HINT)
        is_lax = ready_ns is None or now_ns < ready_ns + hint.laxity_ns
        return hint.lax if is_lax else hint.critical
