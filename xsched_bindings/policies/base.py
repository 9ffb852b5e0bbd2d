"""What a policy is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from xsched_bindings.types import PRIORITY_MAX, PRIORITY_MIN


@dataclass(frozen=True)
class Decision:
    """Handles of the queues that may run (all others are suspended), and when to decide anew
    without an event: monotonic nanoseconds, or None."""

    run: frozenset[int]
    wake_at_ns: int | None = None


#: Every queue's handle, in order of creation: since when it has had work (monotonic nanoseconds),
#: None while it is idle.
Queues = Mapping[int, int | None]


class Policy(Protocol):
    def decide(self, queues: Queues, now_ns: int) -> Decision:
        """Called after every event and at the time that the last decision asked for; `now_ns`
        never goes back."""

    def hint_priority(self, handle: int, priority: int) -> None: ...

    def hint_utilization(self, handle: int, percent: int) -> None: ...

    def hint_deadline(self, handle: int, microseconds: int) -> None: ...

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None: ...

    def set_timeslice(self, microseconds: int) -> None: ...

    def set_k_deadline(self, k: int) -> None: ...


@dataclass(frozen=True)
class Kind:
    """One policy. create: a fresh one without hints. by_turns: whether its queues take turns, so
    that whose turn it is depends on all that has run before: a proof then asks how many queues
    wait, and not which ones at a certain time."""

    create: Callable[[], Policy]
    by_turns: bool


#: By the name that a configuration uses.
POLICIES: dict[str, Kind] = {}

AnyPolicy = TypeVar("AnyPolicy", bound=Policy)


def policy(name: str, by_turns: bool = False) -> Callable[[type[AnyPolicy]], type[AnyPolicy]]:
    """Make a class the policy of that name; see `Kind`."""

    def register(create: type[AnyPolicy]) -> type[AnyPolicy]:
        assert name not in POLICIES, f"two policies are called {name}"
        POLICIES[name] = Kind(create, by_turns)
        return create

    return register


class IgnoresHints:
    """What a policy does with hints that it has no use for: nothing, as in XSched."""

    def hint_priority(self, handle: int, priority: int) -> None: ...

    def hint_utilization(self, handle: int, percent: int) -> None: ...

    def hint_deadline(self, handle: int, microseconds: int) -> None: ...

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None: ...

    def set_timeslice(self, microseconds: int) -> None: ...

    def set_k_deadline(self, k: int) -> None: ...


def clamped(priority: int) -> int:
    return min(max(priority, PRIORITY_MIN), PRIORITY_MAX)


def ready(queues: Queues) -> list[int]:
    """The queues that have work, in order of creation."""
    return [queue for queue, since_ns in queues.items() if since_ns is not None]


def alone(running: int | None, queues: Queues, wake_at_ns: int | None) -> Decision:
    """One queue runs; idle ones wait suspended, so that what they get next does not overtake the
    decision. With nobody at work all may run, so that a first command waits for no decision."""
    return Decision(frozenset(queues) if running is None else frozenset({running}), wake_at_ns)
