"""What a policy is, and what it says of itself to those who run and judge it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from xsched_bindings.types import (
    PRIORITY_DEFAULT,
    PRIORITY_MAX,
    PRIORITY_MIN,
    UTILIZATION_MAX,
    UTILIZATION_MIN,
)


@dataclass(frozen=True)
class Decision:
    """Handles of the queues that may run (all others are suspended), and when to decide anew
    without an event: monotonic nanoseconds, or None."""

    run: frozenset[int]
    wake_at_ns: int | None = None


#: Every queue's handle, in order of creation: since when it has had work (monotonic nanoseconds),
#: None while it is idle.
Queues = Mapping[int, int | None]


class Policy:
    """Who runs. What a policy does with hints that it has no use for: nothing, as in XSched."""

    def decide(self, queues: Queues, now_ns: int) -> Decision:
        """Called after every event and at the time that the last decision asked for; `now_ns`
        never goes back."""
        raise NotImplementedError

    def hint_priority(self, handle: int, priority: int) -> None: ...

    def hint_utilization(self, handle: int, percent: int) -> None: ...

    def hint_deadline(self, handle: int, microseconds: int) -> None: ...

    def hint_laxity(
        self, handle: int, microseconds: int, lax_priority: int, critical_priority: int
    ) -> None: ...

    def set_timeslice(self, microseconds: int) -> None: ...

    def set_k_deadline(self, k: int) -> None: ...


@dataclass(frozen=True)
class Hint:
    """What a task can say to a policy: a key of every task. A policy takes one that XSched does not
    have by a method ``hint_<name>(handle, value)``.

    default: of a task that says nothing; None if the policy is told nothing then. whole: what the
    tasks divide among them, if it is a share. same: what all get where nobody is to be preferred,
    if there is no default."""

    name: str
    doc: str
    unit: str = ""
    low: int = 0
    high: int | None = None
    default: int | None = None
    whole: int | None = None
    same: int | None = None

    @property
    def allowed(self) -> str:
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def equal(self, tasks: int) -> int | None:
        """The same for each of so many tasks."""
        if self.whole is not None:
            return self.whole // tasks
        return self.same if self.default is None else self.default


PRIORITY = Hint(
    "priority",
    "Hint, larger is more urgent. hpf: the highest runs; cfs: a weight of 1.2^priority; lax: "
    "the priority once the laxity is used up, 0 until then.",
    low=PRIORITY_MIN,
    high=PRIORITY_MAX,
    default=PRIORITY_DEFAULT,
)
UTILIZATION = Hint(
    "utilization",
    "Hint for up: share of the device.",
    "percent",
    UTILIZATION_MIN,
    UTILIZATION_MAX,
    whole=UTILIZATION_MAX,
)
#: Under equal deadlines queues go by arrival; of queues without one XSched starves some.
DEADLINE = Hint(
    "deadline_us", "Hint for kedf, from ready to deadline.", "µs", low=1, same=1_000_000
)
LAXITY = Hint("laxity_us", "Hint for lax: delay that does not hurt.", "µs", high=10_000_000)
#: By name; XSched's own come first.
HINTS = {hint.name: hint for hint in (PRIORITY, UTILIZATION, DEADLINE, LAXITY)}


class Task(Protocol):
    """What a policy may ask of a task before anything runs."""

    @property
    def name(self) -> str: ...

    def hint(self, hint: Hint) -> int | None: ...


@dataclass(frozen=True)
class Problem:
    """Why a policy cannot schedule a task set. key: the name of a hint, or k. task: whose hint; "*"
    is everybody's."""

    key: str
    value: object
    problem: str
    allowed: str = ""
    remedy: str = ""
    task: str = "*"


def missing(hint: Hint, tasks: Sequence[Task], why: str) -> Problem | None:
    """The first task that lacks a hint which the policy needs of everybody."""
    for task in tasks:
        if task.hint(hint) is None:
            return Problem(hint.name, "null", why, hint.allowed, "give every task one", task.name)
    return None


@dataclass(frozen=True)
class Kind:
    """One policy.

    create: a fresh one without hints. hints: those that it acts on; it is told no others. settings:
    of the scheduler's own, by their keys in a configuration, those that it looks at. by_turns:
    whether its queues take turns, so that whose turn it is depends on all that has run before: a
    proof then compares shares and turns, and not who ran at a certain time. equal_suspends:
    whether it suspends anybody where all hints are equal. several: whether it would never suspend
    an only task and is refused for one. there: as XSched itself decides, which runs on GPUs, where
    that is something else (docs/policies.md). check(tasks, k): what else keeps it from scheduling a
    task set, or from ever suspending a queue of it."""

    create: Callable[[], Policy]
    hints: tuple[Hint, ...] = ()
    settings: tuple[str, ...] = ()
    by_turns: bool = False
    equal_suspends: bool = True
    several: bool = False
    there: Callable[[], Policy] | None = None
    check: Callable[[Sequence[Task], int], Problem | None] = lambda tasks, k: None


#: By the name that a configuration uses.
POLICIES: dict[str, Kind] = {}

AnyPolicy = TypeVar("AnyPolicy", bound=Policy)


def policy(name: str, **declared: Any) -> Callable[[type[AnyPolicy]], type[AnyPolicy]]:
    """Make a class the policy of that name. declared: see `Kind`."""

    def register(create: type[AnyPolicy]) -> type[AnyPolicy]:
        assert name not in POLICIES, f"two policies are called {name}"
        POLICIES[name] = Kind(create, **declared)
        for hint in POLICIES[name].hints:
            assert HINTS.setdefault(hint.name, hint) is hint, f"two hints are called {hint.name}"
        return create

    return register


def clamped(priority: int) -> int:
    return min(max(priority, PRIORITY_MIN), PRIORITY_MAX)


def ready(queues: Queues) -> list[int]:
    """The queues that have work, in order of creation."""
    return [queue for queue, since_ns in queues.items() if since_ns is not None]


def alone(running: int | None, queues: Queues, wake_at_ns: int | None) -> Decision:
    """One queue runs; idle ones wait suspended, so that what they get next does not overtake the
    decision. With nobody at work all may run, so that a first command waits for no decision."""
    return Decision(frozenset(queues) if running is None else frozenset({running}), wake_at_ns)
