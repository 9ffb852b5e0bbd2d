"""Where commands execute: what each platform can do, and how a trial's process reaches it.

A platform has two sides. The parent's (`Platform`) knows capabilities, holds what outlives a trial
and never touches the device; the trial's (`Session`) runs in the trial's process.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.errors import UserError
from runner.proof import Proof
from runner.spec import TrialSpec
from xsched_bindings.types import PreemptLevel


@dataclass(frozen=True)
class ChildSetup:
    """What a trial's process is started with. fds: inherited descriptors by name. cores: the CPU
    cores it may use, empty for all."""

    fds: dict[str, int]
    cores: list[int]
    environment: dict[str, str] = field(default_factory=dict)


class Platform(Protocol):
    """The parent's side."""

    @property
    def name(self) -> str: ...

    @property
    def placements(self) -> tuple[str, ...]:
        """The first is what `auto` means."""

    @property
    def schedulers(self) -> tuple[str, ...]: ...

    @property
    def policies(self) -> tuple[str, ...]: ...

    @property
    def highest_level(self) -> PreemptLevel: ...

    def missing(self) -> str:
        """Why this machine cannot run it, "" if it can. Imports no torch."""

    def fingerprint(self) -> str:
        """What solo times depend on: hardware and library versions."""

    def open(self, log: Path) -> None:
        """Start what outlives a trial, if it does not run; its last words go to `log`."""

    def set_up_child(self) -> ChildSetup:
        """For one trial."""

    def release_child(self) -> None:
        """The trial's process has been started and holds its own copies of the descriptors."""

    def close(self) -> None: ...


class TaskLane(Protocol):
    """One task's way to the device."""

    def request(self) -> None:
        """Run one request of the task and return when it has completed."""


class Session(Protocol):
    """The trial's side. Called in this order; see `runner.child`."""

    @property
    def lanes(self) -> Sequence[TaskLane]:
        """One a task, in the order of the trial's tasks."""

    def open(self) -> None: ...

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]: ...

    def open_queues(self) -> Proof: ...

    def begin_window(self) -> None: ...

    def end_window(self) -> tuple[Proof, dict[str, Any]]: ...

    def watch(self, stop_fd: int | None, timeout_s: float) -> str: ...


def get(name: str, device_cores: int) -> Platform:
    """The platform called `name`."""
    from runner.platforms.gpu import GPUS
    from runner.platforms.host import HostPlatform

    return HostPlatform(device_cores) if name == "host" else GPUS[name]


def check(platform: Platform, trial: TrialSpec) -> None:
    """Raise `UserError` for what the platform or this machine cannot do."""
    if trial.uses_xsched:
        for task in trial.tasks:
            if task.level > platform.highest_level:
                raise UserError(
                    "xsched.level",
                    task.level.name,
                    f"platform {platform.name} cannot do that (task {task.name})",
                    [level.name for level in PreemptLevel if level <= platform.highest_level],
                )
        _check_choice("xsched.policy", trial.policy, platform.policies, platform)
        _check_choice("xsched.scheduler", trial.scheduler, platform.schedulers, platform)
    if reason := platform.missing():
        raise UserError("platform", platform.name, reason, remedy="use platform=host")
    _check_choice("platform.placement", trial.placement, platform.placements, platform)


def _check_choice(key: str, value: str, choices: Sequence[str], platform: Platform) -> None:
    if value not in choices:
        raise UserError(key, value, f"platform {platform.name} does not have that", choices)


def resolve_auto(trials: Sequence[TrialSpec]) -> tuple[str, str]:
    """Platform and placement for a whole sweep, where they are left to us. Decided from what the
    machine has, never from the arm: arms are compared with each other."""
    from runner.platforms.gpu import GPUS

    names = {trial.platform for trial in trials}
    usable = [name for name, gpu in GPUS.items() if not gpu.missing()]
    name = next(iter(usable), "host") if names == {"auto"} else names.pop()
    placements = {trial.placement for trial in trials}
    placement = get(name, 1).placements[0] if placements == {"auto"} else placements.pop()
    return name, placement


def available_cores() -> list[int]:
    """CPU cores that this process was given."""
    return sorted(os.sched_getaffinity(0))
