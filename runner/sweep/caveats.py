"""What is allowed and yet may not be meant: said before a sweep begins."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import Field, fields
from enum import Enum
from typing import Any

from runner.config.errors import UserError
from runner.config.resolve import GPU_NAMES, resolve
from runner.config.schema import Config
from runner.config.settings import CALLED_BY
from runner.config.spec import TaskSpec, TrialSpec
from runner.sweep.plan import Planned
from xsched_bindings.policies import POLICIES
from xsched_bindings.policies.base import PRIORITY

#: Groups whose keys say what is measured.
MEASURED = ("arrival", "model", "xsched", "task_set")
UNMEASURED = "task_set.check"
#: What only some policies or platforms look at, though every trial is told it.
ONLY_FOR = {
    **{
        f"xsched.{key}": (
            "xsched.policy",
            tuple(n for n, k in POLICIES.items() if key in k.settings),
        )
        for key in {key for kind in POLICIES.values() for key in kind.settings}
    },
    "xsched.cuda_lv3": ("platform.name", ("cuda",)),
    "xsched.shim": ("platform.name", GPU_NAMES),
    "xsched.companion": ("platform.name", ("hip",)),
    "xsched.home": ("platform.name", GPU_NAMES),
    "model.graphs": ("platform.name", GPU_NAMES),
    "platform.device_cores": ("platform.name", ("host",)),
    "platform.device": ("platform.name", GPU_NAMES),
    "platform.devices": ("platform.name", GPU_NAMES),
    "platform.mps": ("platform.name", ("cuda",)),
    "platform.hardware_queues": ("platform.name", ("hip",)),
    "platform.server": ("platform.name", GPU_NAMES),
}
#: Tasks ask for all of the device at this sum of their loads.
FULL = 1.0


def caveats(points: Sequence[Planned]) -> list[str]:
    """A line each, none twice."""
    lines = [line for each in points for line in (*_flood(each), *_starved(each))]
    by_task_set: dict[str, list[Planned]] = {}
    for each in {id(each.config): each for each in points}.values():  # one of all repeats
        by_task_set.setdefault(each.task_set, []).append(each)
    unheard = [line for alike in by_task_set.values() for line in _unheard(alike)]
    return list(dict.fromkeys([*_placements(points), *unheard, *lines]))


def _placements(points: Sequence[Planned]) -> Iterator[str]:
    """Arms that could not be given one placement."""
    arms: dict[str, set[str]] = {}
    for each in points:
        if "platform.placement" not in each.values:
            arms.setdefault(each.trial.placement, set()).add(each.trial.arm)
    if len(arms) > 1:
        said = "; ".join(f"{', '.join(sorted(ran))} in {place}" for place, ran in arms.items())
        yield f"no placement suits all arms ({said}): baselines differ, and comparisons say so"


# --- what has no effect --------------------------------------------------------------------------


def _unheard(points: Sequence[Planned]) -> Iterator[str]:
    """Of one task set: what was asked for on the command line, or swept over, and would give the
    same measurements with any other value."""
    asked = {
        override.partition("=")[0].lstrip("+~"): each
        for each in points
        for override in each.overrides
    }
    for given in asked:
        key = _leaf(given, points[0])
        if key and not any(_matters(key, each) for each in points):
            yield f"{given} has no effect, {_why(key, points)}"


def _leaf(given: str, point: Planned) -> str:
    """The key of a value; of a choice of a group, that of its name. "" for what is no measurement's
    or is several keys at once."""
    if given in MEASURED and given != "task_set":
        given = CALLED_BY.get(given, f"{given}.name")
    measured = given.partition(".")[0] in MEASURED or given in ONLY_FOR
    return given if measured and given in point.parameters and given != UNMEASURED else ""


def _matters(key: str, point: Planned) -> bool:
    """Whether some other value would make another measurement. Where none can be tried it does."""
    if _timed(key, point):
        return False
    if key in ONLY_FOR:
        where, names = ONLY_FOR[key]
        if point.setting(where) not in names or not key.startswith("xsched."):
            return point.setting(where) in names
    config = copy.deepcopy(point.config)
    own = resolve(config).config_hash
    tried = False
    for value in _others(*_place(config, key)):
        if found := _hash(config, key, value):
            tried = True
            if found != own:
                return True
    return not tried


def _timed(key: str, point: Planned) -> bool:
    """Whether it is a number of requests, and the window ends by time. Hashes have it all the same:
    they did when they began."""
    return key.rpartition(".")[2] == "requests" and point.trial.duration_s is not None


def _hash(config: Config, key: str, value: Any) -> str:
    """Of the trial with another value; "" if it does not go with the others."""
    node, spec = _place(config, key)
    own = getattr(node, spec.name)
    setattr(node, spec.name, value)
    try:
        return resolve(config).config_hash
    except UserError:
        return ""
    finally:
        setattr(node, spec.name, own)


def _place(config: Config, key: str) -> tuple[Any, Field[Any]]:
    """Where a key is: what has it, and its field."""
    node: Any = config
    *path, name = key.split(".")
    for part in path:
        node = node[part] if isinstance(node, dict) else getattr(node, part)
    return node, next(each for each in fields(node) if each.name == name)


def _others(node: Any, spec: Field[Any]) -> Iterator[Any]:
    """Other values that the key may have."""
    value, low, high = getattr(node, spec.name), spec.metadata["low"], spec.metadata["high"]
    others: list[Any] = list(spec.metadata["choices"])
    if isinstance(value, bool):
        others = [not value]
    elif isinstance(value, Enum):
        others = list(type(value))
    elif isinstance(value, int | float):
        kind = type(value)
        others = [
            kind(value * 2),
            kind(value / 2),
            value + 1,
            *map(kind, filter(None, (low, high))),
        ]
    elif low is not None:
        others = [low, high or 2 * low]
    if spec.default is None:
        others.append(None)
    yield from (other for other in others if other != value)


def _why(key: str, points: Sequence[Planned]) -> str:
    """Who else has no use for it, and what lets somebody."""
    if _timed(key, points[0]):
        return "task_set.duration_s ends the window, and what completes in it counts"
    if "xsched" in key.split(".") and not any(each.trial.uses_xsched for each in points):
        arms = ", ".join(dict.fromkeys(each.arm for each in points))
        return f"no arm here uses XSched ({arms})"
    if key in ONLY_FOR and points[0].setting(ONLY_FOR[key][0]) not in ONLY_FOR[key][1]:
        where, names = ONLY_FOR[key]
        return f"it is for {where}={' or '.join(names)}"
    group, _, name = key.partition(".")
    tasks = points[0].trial.tasks
    said = ", ".join(": ".join(filter(None, [each.name, _taken(each, group)])) for each in tasks)
    line = f"no task of {points[0].task_set} takes it ({said})"
    own = [getattr(task, group, None) for task in points[0].config.task_set.tasks.values()]
    stands = next(
        (k for k in (name, "name") if any(getattr(o, k, None) is not None for o in own)), ""
    )
    if stands:
        line += f"; task_set.tasks.<name>.{group}.{stands}=null lets a task take it"
    return line


def _taken(task: TaskSpec, group: str) -> str:
    """What of a group the task has."""
    return {"arrival": task.arrival.process, "model": task.model.name}.get(group, "")


# --- who waits for ever --------------------------------------------------------------------------


def _ends(trial: TrialSpec) -> str:
    key = "limit_s" if trial.duration_s is None else "task_set.duration_s"
    cap_s = trial.limit_s if trial.duration_s is None else trial.duration_s
    return f"the window ends after {key}={cap_s:g} at the latest"


def _flood(point: Planned) -> Iterator[str]:
    """Open loops that ask for more than there is."""
    trial = point.trial
    loads = {task.name: task.arrival.load for task in trial.tasks if task.arrival.load is not None}
    for name, load in loads.items():
        if load > FULL:
            yield (
                f"{name} has load {load:g}: above 1 its queue grows without bound; {_ends(trial)}"
            )
    devices = trial.device_cores if trial.platform == "host" else 1
    whole = sum(loads.values())
    if trial.arm.shares_device and max(loads.values(), default=0) <= FULL and whole > devices:
        said = " + ".join(f"{name} {load:g}" for name, load in loads.items())
        yield (
            f"loads add up to {whole:g} ({said}), and the device has {devices}: queues grow "
            f"without bound; {_ends(trial)}"
        )


def _starved(point: Planned) -> Iterator[str]:
    """Tasks below one that always wants the device, where the highest priority runs alone."""
    trial = point.trial
    kind = POLICIES.get(trial.policy)
    by_priority = kind is not None and kind.hints == (PRIORITY,) and not kind.by_turns
    if not (trial.arm.is_treatment and by_priority):
        return
    closed = [task for task in trial.tasks if task.closed]
    above = max(closed, key=lambda task: task.priority, default=None)
    below = [task.name for task in trial.tasks if above and task.priority < above.priority]
    if above and below:
        until = "until it is done" if not trial.keep_load else "as long as the window lasts"
        yield (
            f"{above.name} is a closed loop above {', '.join(below)}: under {trial.policy} they "
            f"run only between two of its requests {until}, and {_ends(trial)}; "
            f"task_set.tasks.{above.name}.arrival.process=jitter lets them in"
        )
