"""A GPU's streams, as a session needs them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models import ModelSpec
from runner.platforms.contract import Wait
from xsched_bindings.interface import ControlPlane, Queue
from xsched_bindings.types import PreemptLevel


class Marked(NamedTuple):
    """Marks, the oldest first. ticks: the device's clock when each was reached, int64. values: what
    each one told besides, float64: the fingerprint of a request's result (`models.fingerprint`)
    where it was a request's last, else nan."""

    ticks: NDArray[np.int64]
    values: NDArray[np.float64]


class Ring(Protocol):
    """The marks that the device makes in one task's stream, an ordinary command each."""

    @property
    def count(self) -> int:
        """Marks that have been reached since the ring was made; it may be read while the stream,
        or the whole context, is suspended."""

    def since(self, count: int) -> Marked:
        """Those after the first `count`, or as many of them as it still has, the last ones."""


class Tie(NamedTuple):
    """One moment on both clocks: monotonic nanoseconds, and the device's ticks."""

    host_ns: int
    ticks: int


class Witnessed(NamedTuple):
    """What the device executed. commands_s: seconds of each command. device_s: of all its work,
    copies too."""

    commands_s: tuple[float, ...]
    device_s: float


@dataclass(frozen=True)
class Work:
    """A model's requests on one stream. submit: enqueues one, of the next input in turn; what it
    returns waits until that has completed. marks: where each request leaves `parts` marks, in
    order. computes: whether the last one tells what came out."""

    submit: Callable[[], Wait]
    marks: Ring
    parts: int
    computes: bool


class Stream(Protocol):
    """A stream of the device's commands. pointer: the driver's handle, 0 for the default stream.
    priority: the hardware's own hint, as the driver tells it."""

    @property
    def pointer(self) -> int: ...

    @property
    def priority(self) -> int: ...

    def submit_probe(self, commands: int) -> None:
        """Enqueue that many commands of fixed work, each of which ends with its mark."""

    @property
    def probe(self) -> Ring:
        """The marks of its probes."""

    def synchronize(self) -> None:
        """Block until everything that this task submitted has completed."""


class QueueMaker(ControlPlane, Protocol):
    """XSched's library for one platform."""

    def create_queue(self, stream: int, level: PreemptLevel) -> Queue: ...


class Accelerator(Protocol):
    """The device as a session needs it."""

    @property
    def probe_s(self) -> float:
        """How long a command of a probe takes."""

    def hints(self, ranks: int) -> list[int]:
        """The hardware's own priority hint for each of so many ranks, most urgent first."""

    def open_stream(self, hint: int | None, default: bool) -> Stream:
        """A stream of its own, or the default stream that all tasks share."""

    def load(self, model: ModelSpec, stream: Stream, in_flight: int = 1) -> Work:
        """The model's requests on that stream, so many of them at once at the most."""

    def tie(self) -> Tie:
        """What the device's clock says now, from a stream that nobody schedules, on an idle
        device: to a tenth of a millisecond."""

    def witness(self, request: Callable[[], None], stream: Stream) -> Witnessed:
        """What the device executes during a request, by a witness that knows no queues."""

    def library(self, folder: str) -> QueueMaker: ...
