"""How long a trial will take, before it is run: for dry_run."""

import math
from pathlib import Path

from runner.config.arrivals import mean_gap_ns, times_ns
from runner.config.spec import TaskSpec
from runner.platforms.choose import shared
from runner.runs import solo
from runner.sweep.plan import Planned

#: Start of the processes, warm-up, calibration and proof, by platform (another is taken for
#: host); measured on two cores and on an H100 machine.
SET_UP_S = {"host": 3.0, "cuda": 16.0, "hip": 16.0}


def minutes(each: Planned) -> float | None:
    """Minutes of one trial, from the solo times that were measured before on this machine; None if
    one of them is not known yet."""
    platform = shared(each.config)
    models = {task.model for task in each.trial.tasks}
    known = solo.known(Path(each.config.output_root), platform.fingerprint(each.trial), models)
    if models - set(known):
        return None
    set_up_s = SET_UP_S.get(each.trial.platform, SET_UP_S["host"])
    seconds = set_up_s
    for group in each.trial.groups:
        tasks = [each.trial.tasks[index] for index in group]
        seconds += max(window_s(task, known[task.model], len(tasks)) for task in tasks)
    return min(seconds, each.trial.limit_s + set_up_s) / 60


def window_s(task: TaskSpec, solo_s: float, beside: int) -> float:
    """An open loop lasts as long as its arrivals; a closed one shares the device."""
    if task.arrival.process == "trace":
        return float(times_ns(task.arrival.trace)[task.requests - 1]) / 1e9
    closed = math.isnan(gap_ns := mean_gap_ns(task, solo_s))
    return task.requests * (solo_s * beside if closed else gap_ns / 1e9)
