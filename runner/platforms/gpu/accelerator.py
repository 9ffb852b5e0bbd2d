"""A GPU's streams, as a session needs them."""

from collections.abc import Callable
from typing import Protocol

from models import ModelSpec
from xsched_bindings.interface import ControlPlane, Queue
from xsched_bindings.types import PreemptLevel


class Stream(Protocol):
    """A stream of the device's commands. pointer: the driver's handle, 0 for the default stream.
    priority: the hardware's own hint, as the driver tells it."""

    @property
    def pointer(self) -> int: ...

    @property
    def priority(self) -> int: ...

    def submit_probe(self, units: int) -> None:
        """Enqueue that many units, each a command of fixed work and one that counts."""

    @property
    def probe_units(self) -> int:
        """Units completed since the stream was opened, counted by the device itself."""

    def synchronize(self) -> None:
        """Block until everything that this task submitted has completed."""


class QueueMaker(ControlPlane, Protocol):
    """XSched's library for one platform."""

    def create_queue(self, stream: int, level: PreemptLevel) -> Queue: ...


class Accelerator(Protocol):
    """The device as a session needs it."""

    @property
    def unit_s(self) -> float:
        """How long a probe unit takes on an idle device."""

    def hints(self, ranks: int) -> list[int]:
        """The hardware's own priority hint for each of so many ranks, most urgent first."""

    def open_stream(self, hint: int | None, default: bool) -> Stream:
        """A stream of its own, or the default stream that all tasks share."""

    def load(self, model: ModelSpec, stream: Stream) -> Callable[[], None]:
        """One request of the model on that stream, which returns when it has completed."""

    def witness(self, request: Callable[[], None], stream: Stream) -> tuple[int, float]:
        """Commands that the device executes during a request, and the seconds that it works on
        them, by a witness that knows no queues."""

    def library(self, folder: str) -> QueueMaker: ...
