"""What a trial's parent and its processes say to each other. Messages are pickled: both sides run
the same code."""

from dataclasses import dataclass, field
from typing import Any

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.platforms.contract import WindowFindings
from runner.proof.checks import Proof

# --- from the parent --------------------------------------------------------------------


@dataclass(frozen=True)
class Role:
    """What one process is in its trial.

    number: which of `count` processes. tasks, cores, details: see
    `runner.platforms.contract.ChildSetup`. recording_fd, fds: descriptors that it has inherited, of
    the recording and, by name, of its platform. stop_fds: an eventfd for each group of tasks that
    run side by side."""

    number: int
    count: int
    tasks: list[int]
    cores: list[int]
    recording_fd: int
    stop_fds: list[int]
    fds: dict[str, int]
    details: dict[str, Any]


@dataclass(frozen=True)
class Begin:
    """The first message. solo: seconds of a request, for models where they are known."""

    spec: TrialSpec
    solo: dict[ModelSpec, float]
    role: Role


@dataclass(frozen=True)
class Gathered:
    """All have sent `Gather`: everybody's values in the order of the processes."""

    values: list[Any]


@dataclass(frozen=True)
class Go:
    """All have sent `Ready`: the window may begin."""


# --- from a process ---------------------------------------------------------------------


@dataclass(frozen=True)
class Saying:
    """What the trial is doing, for the display."""

    text: str


@dataclass(frozen=True)
class Solo:
    """Solo time of a request of each model that the parent did not know, in seconds."""

    seconds: dict[ModelSpec, float]


@dataclass(frozen=True)
class Gather:
    """One process's part of a meeting; it waits for `Gathered`."""

    value: Any


@dataclass(frozen=True)
class Ready:
    """Set up and proven so far; it waits for `Go`."""


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
