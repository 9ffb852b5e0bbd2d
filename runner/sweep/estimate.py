"""How long a trial will take, before it is run."""

import math
from collections.abc import Sequence
from pathlib import Path

from models import ModelSpec
from runner.config.arrivals import mean_gap_ns
from runner.config.arrivals.trace import window_ns
from runner.config.spec import TaskSpec, TrialSpec
from runner.platforms.choose import shared
from runner.runs import solo
from runner.sweep.plan import Planned

#: Start of the processes, warm-up, proof and what is derived, by platform (another is taken for
#: host); measured on two cores and on an H100 machine. There trials are forked from warm parents,
#: which start once a sweep, with the shim in place and without; AMD's trials start afresh.
SET_UP_S = {"host": 3.0, "cuda": 4.0, "hip": 16.0}
WARM_PARENT_S = 14.0


def minutes(points: Sequence[Planned], supposed_s: float | None = None) -> list[float | None]:
    """Minutes of each trial of a sweep, None where the solo time of a model is not known and none
    is supposed for it."""
    warm: set[bool] = set()
    found = []
    for each in points:
        trial_minutes, shimmed = (
            _minutes(each, supposed_s),
            each.trial.uses_xsched and each.trial.shim,
        )
        if each.trial.platform == "cuda" and shimmed not in warm and trial_minutes is not None:
            warm.add(shimmed)
            trial_minutes += WARM_PARENT_S / 60
        found.append(trial_minutes)
    return found


def total(points: Sequence[Planned], supposed_s: float) -> float:
    """Minutes of all."""
    return sum(each for each in minutes(points, supposed_s) if each is not None)


def untimed(points: Sequence[Planned]) -> list[str]:
    """Names of the models whose solo time is not known."""
    missing = (model.name for each in points for model in _models(each) - set(_known(each)))
    return list(dict.fromkeys(missing))


def _models(each: Planned) -> set[ModelSpec]:
    return {task.model for task in each.trial.tasks}


def _known(each: Planned) -> dict[ModelSpec, float]:
    """Solo times: those that were measured last on this machine, and of models whose commands have
    a length by themselves their sum."""
    latest = Path(each.config.output_root) / solo.LATEST
    told = {m: m.size * m.work_us / 1e6 for m in _models(each) if m.work_us}
    fingerprint = shared(each.config).fingerprint(each.trial)
    return told | solo.known(latest, fingerprint, _models(each))


def _minutes(each: Planned, supposed_s: float | None) -> float | None:
    known = _known(each)
    if supposed_s is not None:
        known = dict.fromkeys(_models(each), supposed_s) | known
    if _models(each) - set(known):
        return None
    seconds = SET_UP_S.get(each.trial.platform, SET_UP_S["host"])
    for group in each.trial.groups:
        tasks = [each.trial.tasks[index] for index in group]
        longest_s = max(window_s(each.trial, t, known[t.model], len(tasks)) for t in tasks)
        seconds += each.trial.lead_in_s + longest_s
    return seconds / 60


def window_s(trial: TrialSpec, task: TaskSpec, solo_s: float, beside: int) -> float:
    """An open loop lasts as long as its arrivals; a closed one shares the device."""
    if trial.duration_s is not None:
        return trial.duration_s
    return min(trial.limit_s, _requests_s(trial, task, solo_s, beside))


def _requests_s(trial: TrialSpec, task: TaskSpec, solo_s: float, beside: int) -> float:
    if task.arrival.process == "trace":
        return float(window_ns(task.arrival.trace, trial.lead_in_s)[task.requests - 1]) / 1e9
    closed = math.isnan(gap_ns := mean_gap_ns(task, solo_s))
    return task.requests * (solo_s * beside if closed else gap_ns / 1e9)
