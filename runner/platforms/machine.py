"""The machine that this process is on, without a library of any vendor."""

import os
import resource
from functools import cache
from pathlib import Path


def available_cores() -> list[int]:
    """CPU cores that this process was given."""
    return sorted(os.sched_getaffinity(0))


@cache
def cpu_model() -> str:
    """The processor's name, "unknown" where /proc does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def lift_limit(number: int) -> None:
    """Let this process, and those that it starts, have as much as the hard limit allows. number: of
    `resource`, such as RLIMIT_NOFILE."""
    _, hard = resource.getrlimit(number)
    resource.setrlimit(number, (hard, hard))
