"""When requests arrive: schedules from a seed, the same for every arm. A module a process.

A schedule depends on nothing but the task's arrival process, its mean gap, the seed and the task's
name.
"""

import importlib
import math
import pkgutil
import zlib

from runner.config.arrivals.base import PROCESSES, Schedule
from runner.config.arrivals.trace import times_ns
from runner.config.spec import TaskSpec

__all__ = ["PROCESSES", "mean_gap_ns", "schedule", "times_ns"]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)  # registers its process


def schedule(task: TaskSpec, solo_s: float, seed: int) -> Schedule:
    """The arrivals of this task; None for a closed loop.

    solo_s: seconds of one request alone; without meaning to a task whose rate is absolute.
    """
    from numpy.random import PCG64, Generator

    process = PROCESSES[task.arrival.process]
    random = Generator(PCG64([seed, zlib.crc32(task.name.encode())]))
    taken = {name: getattr(task.arrival, name) for name in process.takes}
    return process.schedule(mean_gap_ns(task, solo_s), random, **taken)


def mean_gap_ns(task: TaskSpec, solo_s: float) -> float:
    """Nanoseconds between two arrivals on average; not a number where the task has no such rate."""
    if task.arrival.rate_rps is not None:
        return 1e9 / task.arrival.rate_rps
    return math.nan if task.arrival.load is None else solo_s * 1e9 / task.arrival.load
