"""What a trial's processes tell their parent."""

from dataclasses import dataclass, field
from typing import Any

from models import ModelSpec
from runner.platforms.contract import WindowFindings
from runner.proof.checks import Proof


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
    timing_s: how long each step took. unsteady: tasks whose warm-up did not come to rest. found:
    of the window, nothing if it never began.
    """

    proof: Proof
    error: str = ""
    cut: bool = False
    timing_s: dict[str, float] = field(default_factory=dict)
    unsteady: tuple[str, ...] = ()
    found: WindowFindings = field(default_factory=WindowFindings)
