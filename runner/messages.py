"""What a trial's processes tell their parent."""

import math
from dataclasses import dataclass, field
from typing import Any

from models import ModelSpec
from runner.proof import Proof


@dataclass(frozen=True)
class Saying:
    """What the trial is doing, for the display."""

    text: str


@dataclass(frozen=True)
class Gather:
    """One process's part of a meeting; the parent answers everybody with all parts in order."""

    value: Any


@dataclass(frozen=True)
class Solo:
    """Solo time of a request of each model that the parent did not know, in seconds."""

    seconds: dict[ModelSpec, float]


@dataclass(frozen=True)
class Ready:
    """Set up and proven so far; when all are, the parent answers to let the window begin."""


@dataclass(frozen=True)
class Outcome:
    """The end. error: why there is no result, "" if there is one. cut: the window hit its limit.
    saturation: share of the window that the device worked. preemptions: of queues with work
    pending. events: the scheduler's log by column. timing_s: how long each step took.
    """

    proof: Proof
    error: str = ""
    cut: bool = False
    saturation: float = math.nan
    preemptions: int | None = 0
    events: dict[str, list[Any]] | None = None
    timing_s: dict[str, float] = field(default_factory=dict)
    unsteady: tuple[str, ...] = ()
