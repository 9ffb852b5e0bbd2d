"""Which platform, placement and level a trial gets, and the door to both of its sides.

Every module of `runner.platforms.kinds` is a platform, found by its name when it is wanted: it has
``open_platform(config) -> Platform`` and ``open_session(trial, tasks, start, say) -> Session``, and
where a machine can have several ``devices(config)`` and ``server(config, trials, folder)``; it
imports no torch. This is the one place that finds them.
"""

import atexit
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.config.schema import Config
from runner.config.spec import TrialSpec
from runner.platforms.contract import Platform, Session
from runner.platforms.gpu.vendors import VENDORS

#: Where decisions are made follows from where the workers live.
SCHEDULER = {"threads": "local", "processes": "global"}


def _kind(name: str) -> Any:
    return importlib.import_module(f"runner.platforms.kinds.{name}")


def get(config: Config) -> Platform:
    """The platform that a configuration names; "auto" must have been decided."""
    platform: Platform = _kind(config.platform.name).open_platform(config)
    return platform


_opened: dict[str, Platform] = {}


def shared(config: Config) -> Platform:
    """The platform, shared by all points that this process runs and that mean the same one."""
    key = f"{config.platform} {config.xsched.home} {config.xsched.companion}"
    if key not in _opened:
        _opened[key] = get(config)
        atexit.register(_opened[key].close)
    return _opened[key]


def devices(config: Config) -> list[str]:
    """The devices that a sweep's repeats are spread over, as `platform.device` names one; [] for
    that one. Raises `UserError` for what is not there."""
    of = getattr(_kind(config.platform.name), "devices", None)
    several: list[str] = of(config) if of else []
    return several


def server(
    config: Config, trials: Sequence[TrialSpec], folder: Path
) -> AbstractContextManager[str | None]:
    """What trials on several devices share, by its address; None where there is no such thing.
    Raises `runner.platforms.contract.PlatformError`."""
    of = getattr(_kind(config.platform.name), "server", None)
    made: AbstractContextManager[str | None] = of(config, trials, folder) if of else nullcontext()
    return made


def is_elsewhere(config: Config) -> bool:
    """Whether the platform is one that this machine does not have."""
    vendor = VENDORS.get(config.platform.name)
    return vendor is not None and not Path(vendor.device_node).exists()


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> Session:
    """The trial's side, in one of its processes. start: see `runner.platforms.contract.ChildSetup`;
    say(text) reports what is being done."""
    session: Session = _kind(trial.platform).open_session(trial, tasks, start, say)
    return session


def choose() -> str:
    """What platform=auto means on this machine: a GPU that is there, else host."""
    there = (name for name, vendor in VENDORS.items() if Path(vendor.device_node).exists())
    return next(there, "host")


def choose_placement(trials: Sequence[TrialSpec], platform: Platform) -> list[str]:
    """What placement=auto means, for each of a sweep's trials: the first that every arm and level
    of the sweep can use, for arms are compared with each other; where there is none, the first that
    the trial itself can use, or else the platform's first."""
    order = platform.placements

    def suits(trial: TrialSpec, placement: str) -> bool:
        levels = platform.levels(placement, trial.cuda_lv3)
        return (
            not platform.no_arm(trial.arm, placement)
            and (not trial.uses_xsched or all(t.asked_level in levels for t in trial.tasks))
            and not platform.missing(replace(trial, placement=placement))
        )

    suited = [[each for each in order if suits(trial, each)] for trial in trials]
    common = [each for each in order if all(each in some for some in suited)]
    return [(common or some or list(order))[0] for some in suited]


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
    if reason := platform.no_arm(trial.arm, placement):
        allowed = [arm for arm in Arm if not platform.no_arm(arm, placement)]
        others = [each for each in platform.placements if not platform.no_arm(trial.arm, each)]
        remedy = f"platform.placement={others[0]} runs it" if others else "leave it out"
        raise UserError("arm", trial.arm, reason, allowed, remedy)
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
        mps=platform.uses_mps(config.platform.mps, trial),
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
