"""The machine that this process is on, without a library of any vendor."""

import os
from pathlib import Path


def available_cores() -> list[int]:
    """CPU cores that this process was given."""
    return sorted(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The processor's name, "unknown" where /proc does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
