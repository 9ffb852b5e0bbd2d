"""HPF, highest priority first (``hpf.cpp``)."""

from xsched_bindings.policies.base import (
    PRIORITY,
    Decision,
    Policy,
    Queues,
    clamped,
    policy,
    ready,
)
from xsched_bindings.types import PRIORITY_DEFAULT, PRIORITY_MIN


@policy("hpf", hints=(PRIORITY,), equal_suspends=False)
class HighestPriorityFirst(Policy):
    """Queues below the highest *ready* priority are suspended, equals run together. The host
    platform is one device, so "per device" means all queues here."""

    def __init__(self) -> None:
        self._priorities: dict[int, int] = {}

    def hint_priority(self, handle: int, priority: int) -> None:
        self._priorities[handle] = clamped(priority)

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        priority = {queue: self._priorities.get(queue, PRIORITY_DEFAULT) for queue in queues}
        highest = max((priority[queue] for queue in ready(queues)), default=PRIORITY_MIN)
        return Decision(frozenset(queue for queue in queues if priority[queue] >= highest))
