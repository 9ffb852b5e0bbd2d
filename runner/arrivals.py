"""When requests arrive: schedules made before the run, from a seed, the same for every arm."""

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

#: Arrivals drawn at once. A task that keeps its load up beyond them draws the same gaps again.
BLOCK = 4096


def jitter(mean_gap_ns: float, seed: int, task: str, count: int = BLOCK) -> NDArray[np.int64]:
    """`count` arrival times in nanoseconds after the common start, gaps uniform in [T/2, 3T/2)
    with T = `mean_gap_ns` (the XSched artifact's pacing). Strictly increasing; the first arrival
    comes after one gap, so tasks of one set do not all begin at once.
    """
    generator = np.random.default_rng([seed, zlib.crc32(task.encode())])
    gaps = generator.uniform(0.5, 1.5, count) * mean_gap_ns
    return np.maximum(gaps, 1).cumsum().astype(np.int64)


def endless(schedule: NDArray[np.int64]) -> Iterator[int]:
    """The schedule, and then its gaps again and again, as Python integers."""
    offset = 0
    times = schedule.tolist()
    while True:
        for time in times:
            yield offset + time
        offset += times[-1]
