"""Where commands execute: what each platform can do, and how a trial's process reaches it.

A platform has two sides. The parent's (`Platform`) knows capabilities, holds what outlives a trial
and never touches the device; the trial's (`Session`) runs in the trial's processes.

Every module here is a platform, found by its name when it is wanted. It has one function,
``open_platform(config: Config) -> Platform``, and imports no torch.
"""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.config import Config
from runner.errors import UserError
from runner.peers import Peers
from runner.proof import Proof
from runner.recording import Recording
from runner.spec import TrialSpec
from xsched_bindings.types import PreemptLevel

#: Where decisions are made follows from where the workers live.
SCHEDULER = {"threads": "local", "processes": "global"}


@dataclass(frozen=True)
class ChildSetup:
    """What one process of a trial is started with.

    tasks: the indices of its tasks. session: ``module:function`` that makes its session from
    (trial, tasks, start, say), where `start` holds `fds` and `details`. fds: inherited descriptors
    by name. cores: the CPU cores it may use, empty for all. environment: all of its environment.
    """

    tasks: list[int]
    session: str
    fds: dict[str, int] = field(default_factory=dict)
    cores: list[int] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observations:
    """What the parent saw of the device around the window. notes: what a reader of the figures must
    know. facts: for summary.json. metrics: (name, value, milliseconds since 1970, step)."""

    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)


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

    def arms(self, placement: str) -> tuple[str, ...]:
        """The arms that mean something in that placement."""

    def levels(self, placement: str, cuda_lv3: str) -> tuple[PreemptLevel, ...]:
        """The preemption levels that the device really has."""

    def uses_mps(self, asked: str, placement: str) -> bool:
        """What `platform.mps` comes to. Raises `UserError` for what is not there."""

    def missing(self, trial: TrialSpec) -> str:
        """Why this machine cannot run it, "" if it can. Imports no torch."""

    def fingerprint(self) -> str:
        """What solo times depend on: hardware and library versions."""

    def provenance(self) -> dict[str, Any]:
        """The device and its libraries, for provenance.json."""

    @property
    def lock(self) -> str:
        """Names the device; trials on one device take turns."""

    def open(self, trial: TrialSpec, folder: Path) -> None:
        """Start what the trial needs and does not run yet; logs go to `folder`."""

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


class TaskLane(Protocol):
    """One task's way to the device."""

    def request(self) -> None:
        """Run one request of the task and return when it has completed."""


class Session(Protocol):
    """The trial's side, in one of its processes. Called in this order; see `runner.child`."""

    @property
    def lanes(self) -> Sequence[TaskLane]:
        """One for each task of this process, in order."""

    def open(self) -> None: ...

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]: ...

    def prove(self, peers: Peers) -> Proof: ...

    def begin_window(self) -> None: ...

    def end_window(self, recording: Recording) -> tuple[Proof, dict[str, Any]]: ...

    def watch(self, stop_fd: int | None, timeout_s: float) -> str: ...


def get(config: Config) -> Platform:
    """The platform that a configuration names; "auto" must have been decided."""
    module = importlib.import_module(f"{__name__}.{config.platform.name}")
    platform: Platform = module.open_platform(config)
    return platform


def choose() -> str:
    """What platform=auto means on this machine: a GPU that is there, else host."""
    from runner.gpus.gpu import VENDORS, GpuPlatform

    return next((name for name in VENDORS if not GpuPlatform(name).no_gpu()), "host")


def choose_placement(trials: Sequence[TrialSpec], platform: Platform) -> str:
    """What placement=auto means for a whole sweep: the first that every arm and level in it can
    use, for arms are compared with each other. If there is none, the platform's first."""

    def suits(trial: TrialSpec, placement: str) -> bool:
        levels = platform.levels(placement, trial.cuda_lv3)
        return trial.arm in platform.arms(placement) and (
            not trial.uses_xsched or all(task.asked_level in levels for task in trial.tasks)
        )

    return next(
        (each for each in platform.placements if all(suits(trial, each) for trial in trials)),
        platform.placements[0],
    )


def settle(config: Config, trial: TrialSpec, platform: Platform) -> TrialSpec:
    """The trial as it will run: placement given, scheduler, level in effect and MPS decided.

    Raises `UserError` for what the platform or this machine cannot do."""
    placement = trial.placement
    if trial.uses_xsched:
        trial = _settle_levels(config, trial, platform)
        _check_choice("xsched.policy", trial.policy, platform.policies, platform)
    schedulers = [SCHEDULER[each] for each in platform.placements]
    if config.xsched.scheduler != "auto":
        _check_choice("xsched.scheduler", config.xsched.scheduler, schedulers, platform)
    if reason := platform.missing(trial):
        raise UserError("platform", platform.name, reason)
    _check_choice("platform.placement", placement, platform.placements, platform)
    if trial.arm not in platform.arms(placement):
        raise UserError(
            "arm",
            trial.arm,
            f"it needs all tasks in one process, and in placement {placement} each has its own",
            platform.arms(placement),
            remedy="platform.placement=threads runs it",
        )
    if config.xsched.scheduler not in ("auto", SCHEDULER[placement]):
        raise UserError(
            "xsched.scheduler",
            config.xsched.scheduler,
            f"workers in placement {placement} are scheduled by the {SCHEDULER[placement]} one",
            ["auto", SCHEDULER[placement]],
        )
    return replace(
        trial,
        scheduler=SCHEDULER[placement],
        mps=platform.uses_mps(config.platform.mps, placement),
    )


def _settle_levels(config: Config, trial: TrialSpec, platform: Platform) -> TrialSpec:
    levels = platform.levels(trial.placement, trial.cuda_lv3)
    tasks = []
    for task in trial.tasks:
        if task.asked_level not in levels and config.xsched.on_unsupported_level == "error":
            raise UserError(
                "xsched.level",
                task.asked_level.name,
                f"platform {platform.name} cannot do that here (task {task.name}): XSched would "
                "take it without an error and do level block",
                [level.name for level in levels],
                remedy="xsched.on_unsupported_level=degrade runs and records what is in effect",
            )
        effective = max(level for level in levels if level <= task.asked_level)
        tasks.append(replace(task, level=effective))
    return replace(trial, tasks=tuple(tasks))


def _check_choice(key: str, value: str, choices: Sequence[str], platform: Platform) -> None:
    if value not in choices:
        raise UserError(key, value, f"platform {platform.name} does not have that", choices)


def available_cores() -> list[int]:
    """CPU cores that this process was given."""
    return sorted(os.sched_getaffinity(0))
