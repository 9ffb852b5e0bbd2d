"""Marks: when known parts of requests had completed, told by the device itself.

They are the evidence of what ran. Who executes (a GPU's stream, an executor) makes them, on every
platform and in every arm; who schedules has no say in them. numpy is not imported here: whoever
plans a sweep meets marks in what a platform is, and answers an error at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.config.spec import TaskSpec
from runner.proof.checks import bound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runner.proof.replay import Spans


@dataclass(frozen=True)
class Marks:
    """One task's marks in the window, in order.

    parts: marks of one request. commands: of one request, as a witness counted them. at_ns: when
    each part had completed, int64 monotonic nanoseconds, shape (marks,). results: what the requests
    came to (`models.fingerprint`), float64, shape (requests,); none where a request has no result.
    dropped: marks before these that the ring no longer had. turn: which input the first request of
    the window took. counted: commands that the task's queue saw meanwhile; None without one."""

    task: str
    parts: int
    commands: int
    at_ns: "NDArray[np.int64]"
    results: "NDArray[np.float64]"
    dropped: int = 0
    turn: int = 0
    counted: int | None = None

    @property
    def requests(self) -> float:
        """How many requests completed, by their marks."""
        return (self.dropped + len(self.at_ns)) / max(self.parts, 1)

    @property
    def per_part(self) -> float:
        """Commands of a part."""
        return self.commands / max(self.parts, 1)

    def allowed(self, commands: int) -> int:
        """How many marks so many commands after a moment explain at the most: before the first one
        there is one command at the least, and a part between any two."""
        return int((commands - 1) // max(self.per_part, 1.0)) + 1 if commands else 0


@dataclass(frozen=True)
class Served:
    """What one task asked for and got. alone_s: of one request, alone on the device. busy: share of
    it that the device works; 1 where no witness tells."""

    task: TaskSpec
    spans: "Spans"
    marks: Marks
    alone_s: float
    busy: float = 1.0

    @property
    def lets_through(self) -> int:
        """Marks that may follow a suspension, as the level says: of the requests in flight, for the
        next one waits for the end of one."""
        commands = bound(self.task.level, self.task.threshold)
        in_flight = self.marks.commands * self.task.arrival.in_flight
        return self.marks.allowed(min(commands, in_flight))

    @property
    def part_ns(self) -> float:
        return self.alone_s * 1e9 / max(self.marks.parts, 1)
