"""What a platform is: where commands execute, and how a trial's process reaches it.

A platform has two sides. The parent's (`Platform`) knows capabilities, holds what outlives a trial
and never touches the device; the trial's (`Session`) runs in the trial's processes.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.config.arms import Arm
from runner.config.spec import TaskSpec, TrialSpec
from runner.platforms.device import DeviceFacts, DeviceOrigin
from runner.platforms.start import Starter, afresh
from runner.proof.checks import Check, Proof
from runner.proof.marks import Marks
from xsched_bindings.types import PreemptLevel


@dataclass(frozen=True)
class ChildSetup:
    """What one process of a trial is started with.

    tasks: the indices of its tasks. fds: inherited descriptors by name. cores: the CPU cores it may
    use, empty for all. environment: all of its environment. details: what its session needs to know
    besides. module: what Python runs. start: how it comes to be.
    """

    tasks: list[int]
    fds: dict[str, int] = field(default_factory=dict)
    cores: list[int] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    details: dict[str, Any] = field(default_factory=dict)
    module: str = "runner.trial.child"
    start: Starter = afresh


@dataclass(frozen=True)
class Observations:
    """What the parent saw of the device around the window. notes: what a reader of the figures must
    know. facts: for summary.json."""

    notes: list[str] = field(default_factory=list)
    facts: DeviceFacts = field(default_factory=DeviceFacts)


class PlatformError(RuntimeError):
    """What the platform needs for a trial cannot be had; the trial fails with this reason."""


class Platform(Protocol):
    """The parent's side."""

    @property
    def name(self) -> str: ...

    @property
    def placements(self) -> tuple[str, ...]:
        """The first that suits is what `auto` means."""

    @property
    def policies(self) -> tuple[str, ...]:
        """Those whose effect can be proven."""

    def no_arm(self, arm: Arm, placement: str) -> str:
        """Why the arm means nothing in that placement, "" if it does."""

    def levels(self, placement: str, cuda_lv3: str) -> tuple[PreemptLevel, ...]:
        """The preemption levels that the device really has."""

    def uses_mps(self, asked: str, trial: TrialSpec) -> bool:
        """What `platform.mps` comes to. Raises `UserError` for what cannot be had."""

    def missing(self, trial: TrialSpec) -> str:
        """Why this machine cannot run it, "" if it can. Imports no torch."""

    def fingerprint(self, trial: TrialSpec) -> str:
        """What solo times depend on: hardware, library versions, and how workers share it."""

    def provenance(self) -> DeviceOrigin:
        """The device and its libraries."""

    @property
    def lock(self) -> str:
        """Names the device; trials on one device take turns."""

    def exclusive(self, trial: TrialSpec) -> Sequence[str]:
        """What else of the machine the trial has for itself, by name."""

    @property
    def device_cores(self) -> Sequence[int]:
        """CPU cores that are the device; none of a GPU."""

    def open(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None:
        """Start what the trial needs and does not run yet; logs go to `folder`, and say(text)
        reports what is being done."""

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        """The trial's processes."""

    def release_children(self) -> None:
        """They have been started and hold their own copies of the descriptors."""

    def last_words(self, folder: Path) -> list[Path]:
        """Logs whose end explains a failure."""

    def trouble(self) -> str:
        """What has died of what the platform started, in words, or ""."""

    def begin_window(self, pids: Sequence[int]) -> None:
        """The trial's processes are about to measure."""

    def end_window(self, folder: Path) -> Observations:
        """They have measured, or failed to; called once for every `begin_window`."""

    def end_trial(self) -> None:
        """End what was started for this trial alone. May be called twice."""

    def close(self) -> None: ...


class Peers(Protocol):
    """The processes of a trial, as each of them sees the others. Every process must make the same
    calls in the same order."""

    def gather(self, value: Any = None) -> list[Any]:
        """Wait for all processes; everybody's values in the order of the processes."""

    def in_turn(
        self, action: Callable[[], Any], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        """Everybody does `action` while the others stand still, or do `meanwhile` again and again;
        everybody's results."""


#: Shorter ones may be what a busy machine does to a process that wants to run. Measured: at most
#: 1.0 s, with 12 busy loops a core beside a process of six threads that fight for the interpreter.
SHORTEST_STANDSTILL_S = 2.0


@dataclass(frozen=True)
class Standstill:
    """Somebody who had to go on did not, for so many seconds of the window, and no scheduling made
    it so."""

    who: str
    seconds: float


@dataclass(frozen=True)
class WindowFindings:
    """What a session saw of the measured window.

    marks: of this process's tasks. checks: that what was set up before the window still is.
    saturation: share of the window that the device worked; nan where it only follows from the
    requests. events: the scheduler's log by column, None where there is none. stood_still: of what
    the platform runs for the trial. pace_us: CPU time of the platform's fixed work in the window,
    None where there is none."""

    marks: tuple[Marks, ...] = ()
    checks: tuple[Check, ...] = ()
    saturation: float = math.nan
    events: dict[str, list[Any]] | None = None
    stood_still: tuple[Standstill, ...] = ()
    pace_us: float | None = None


#: Returns when a request has completed. Called in the order in which they were submitted.
Wait = Callable[[], object]


class TaskLane(Protocol):
    """One task's way to the device."""

    @property
    def task(self) -> TaskSpec: ...

    def submit(self) -> Wait:
        """Enqueue one request of the task. No more than its `in_flight` may be waited for."""

    def request(self) -> None:
        """Run one request of the task and return when it has completed."""


class Session(Protocol):
    """The trial's side, in one of its processes. Called in this order; see `runner.trial.child`."""

    @property
    def lanes(self) -> Sequence[TaskLane]:
        """One for each task of this process, in order."""

    def open(self) -> None: ...

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]: ...

    def prove(self, peers: Peers) -> Proof: ...

    def begin_window(self) -> None: ...

    def end_window(self) -> WindowFindings: ...

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """Wait until `stop_fd` is readable, something dies, or `timeout_s` passes; what has died,
        in words, or ""."""


#: Of a dead process's stderr, what goes into the reason.
LAST_WORDS = 3


def last_words(log: Path) -> str:
    """The end of a log, ready to follow a reason; "" if it is empty or not there."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" ({' | '.join(lines[-LAST_WORDS:])})" if lines else ""
