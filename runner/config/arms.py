"""The arms: how the tasks are scheduled.

An arm is its row in `Arm`: what it is is said there, and everybody else asks. Nobody compares
names, so a new row is a new arm everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Self

#: From the tasks' priorities to the indices of those that run side by side, group after group.
Groups = Callable[[Sequence[int]], list[list[int]]]


def all_together(priorities: Sequence[int]) -> list[list[int]]:
    return [[*range(len(priorities))]]


def one_after_another(priorities: Sequence[int]) -> list[list[int]]:
    return [[index] for index in range(len(priorities))]


def most_urgent(priorities: Sequence[int]) -> list[list[int]]:
    return [[i for i, priority in enumerate(priorities) if priority == max(priorities)]]


class Hints(Enum):
    """Whose hints XSched's queues get."""

    own = "the task's"
    equal = "the same for all"


class Streams(Enum):
    """Which hardware queues the tasks get."""

    own = "one each"
    shared = "one for all"
    prioritised = "one each, with the hardware's own hint"


class Client(Enum):
    """What MPS is told of a task's process. priority: normal for the tasks of the highest one,
    below normal for all others. share: the task's utilization, of the GPU's multiprocessors."""

    plain = "nothing"
    priority = "its priority"
    share = "its share"


@dataclass(frozen=True)
class Traits:
    """What an arm is. doc: as the reference shows it. hints: None without XSched."""

    doc: str
    hints: Hints | None = None
    streams: Streams = Streams.own
    client: Client = Client.plain
    groups: Groups = all_together


class Arm(StrEnum):
    """Every arm, in the order in which they are listed, by the name that a configuration spells
    and a record keeps."""

    solo = (
        "solo",
        Traits(
            "each task alone, one after another, on the same schedule", groups=one_after_another
        ),
    )
    urgent_only = (
        "urgent_only",
        Traits("only the tasks of the highest priority: the floor", groups=most_urgent),
    )
    default_stream = (
        "default_stream",
        Traits("all tasks in one hardware queue", streams=Streams.shared),
    )
    native = "native", Traits("a hardware queue each, no XSched")
    stream_priority = (
        "stream_priority",
        Traits(
            "a hardware queue each with the hardware's own priority hint, no XSched",
            streams=Streams.prioritised,
        ),
    )
    mps_priority = (
        "mps_priority",
        Traits(
            "a process each under NVIDIA's MPS, with its client priority, no XSched",
            client=Client.priority,
        ),
    )
    mps_share = (
        "mps_share",
        Traits(
            "a process each under NVIDIA's MPS, with the task's utilization as its share of the "
            "GPU's multiprocessors, no XSched",
            client=Client.share,
        ),
    )
    xsched = "xsched", Traits("XSched", hints=Hints.own)
    xsched_null = (
        "xsched_null",
        Traits("XSched in place with all hints equal: the null control", hints=Hints.equal),
    )

    traits: Traits

    def __new__(cls, name: str, traits: Traits) -> Self:
        made = str.__new__(cls, name)
        made._value_ = name
        made.traits = traits
        return made

    @classmethod
    def known(cls, name: str) -> "Arm | None":
        """The arm that a record names; None for one that this version does not know."""
        return cls.__members__.get(name)

    @classmethod
    def place(cls, name: str) -> int:
        """Where a record's arm is listed; one that this version does not know comes last."""
        return [*cls, name].index(name)

    @property
    def doc(self) -> str:
        return self.traits.doc

    @property
    def streams(self) -> Streams:
        return self.traits.streams

    @property
    def uses_xsched(self) -> bool:
        return self.traits.hints is not None

    @property
    def is_treatment(self) -> bool:
        """Whether XSched schedules by what the tasks say."""
        return self.traits.hints is Hints.own

    @property
    def is_null_control(self) -> bool:
        """Whether XSched is in place and has nothing to go by."""
        return self.traits.hints is Hints.equal

    @property
    def client(self) -> Client:
        return self.traits.client

    @property
    def applies_priority(self) -> bool:
        """Whether the tasks' priorities reach anybody who could act on them."""
        prioritised = self.streams is Streams.prioritised or self.client is Client.priority
        return self.is_treatment or prioritised

    @property
    def hints_hardware(self) -> bool:
        """Whether the device, and not XSched, is told of the tasks."""
        return self.streams is Streams.prioritised or self.needs_mps

    @property
    def needs_mps(self) -> bool:
        return self.client is not Client.plain

    @property
    def needs_one_process(self) -> bool:
        """A stream is a process's own, and priorities order the streams within one."""
        return self.streams is not Streams.own

    @property
    def shares_device(self) -> bool:
        """Whether all tasks run side by side."""
        return self.traits.groups is all_together

    @property
    def runs_tasks_alone(self) -> bool:
        """Then there is nothing to say about all tasks together."""
        return self.traits.groups is one_after_another

    def groups(self, priorities: Sequence[int]) -> list[list[int]]:
        return self.traits.groups(priorities)
