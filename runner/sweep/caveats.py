"""What is allowed and yet may not be meant: said before a sweep begins."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from runner.config.arrivals import PROCESSES
from runner.config.schema import ArrivalConfig, ArrivalOverride
from runner.config.spec import Arrival
from runner.sweep.plan import Planned

ARRIVAL = [each.name for each in fields(ArrivalConfig)]


def caveats(points: Sequence[Planned]) -> list[str]:
    """A line each, none twice."""
    lines = (
        line for each in points for line in (*_unheard(each), *_companion(each), *_flood(each))
    )
    return list(dict.fromkeys([*_placements(points), *lines]))


def _placements(points: Sequence[Planned]) -> Iterator[str]:
    """Arms that could not be given one placement."""
    arms: dict[str, set[str]] = {}
    for each in points:
        if "platform.placement" not in each.values:
            arms.setdefault(each.trial.placement, set()).add(each.trial.arm)
    if len(arms) > 1:
        said = "; ".join(f"{', '.join(sorted(ran))} in {place}" for place, ran in arms.items())
        yield f"no placement suits all arms ({said}): baselines differ, and comparisons say so"


def _unheard(point: Planned) -> Iterator[str]:
    """Arrivals that were asked for on the command line, or swept over, and that no task takes."""
    for key in (override.partition("=")[0].lstrip("+~") for override in point.overrides):
        group, _, name = key.partition(".")
        name = name or "process"
        if group != "arrival" or name not in ARRIVAL:
            continue
        own = [task.arrival for task in point.config.task_set.tasks.values()]
        taken = [task.arrival for task in point.trial.tasks]
        if any(_takes(*each, name) for each in zip(own, taken, strict=True)):
            continue
        tasks = ", ".join(f"{task.name}: {task.arrival.process}" for task in point.trial.tasks)
        line = f"{key} has no effect, no task of {point.trial.task_set} takes it ({tasks})"
        if any(getattr(each, name) is not None for each in own):
            line += f"; task_set.tasks.<name>.arrival.{name}=null lets a task take it"
        yield line


def _companion(point: Planned) -> Iterator[str]:
    """That of HIP's shim, asked for where there is another shim, or none."""
    asked = any(
        override.lstrip("+").startswith("xsched.companion=") for override in point.overrides
    )
    if asked and point.trial.platform != "hip":
        yield f"xsched.companion has no effect on platform {point.trial.platform}, but on hip"


def _takes(own: ArrivalOverride, arrival: Arrival, name: str) -> bool:
    """Whether a task has this key of the group's. own: what it says itself."""
    used = name == "process" or name in PROCESSES[arrival.process].takes
    if name in ("load", "rate_rps"):
        used = getattr(arrival, name) is not None
    return used and getattr(own, name) is None


def _flood(point: Planned) -> Iterator[str]:
    trial = point.trial
    key = "limit_s" if trial.duration_s is None else "task_set.duration_s"
    cap_s = trial.limit_s if trial.duration_s is None else trial.duration_s
    for task in trial.tasks:
        if task.arrival.load is not None and task.arrival.load > 1:
            yield (
                f"{task.name} has load {task.arrival.load:g}: above 1 its queue grows without "
                f"bound; the window ends after {key}={cap_s:g} at the latest"
            )
