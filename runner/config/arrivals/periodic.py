"""Arrivals at even distances, alone or many at once."""

from collections.abc import Iterator
from itertools import count, repeat

from runner.config.arrivals.base import Random, process


@process("every T")
def periodic(mean_gap_ns: float, random: Random) -> Iterator[int]:
    return burst(mean_gap_ns, random, 1)


@process("burst_size at once, every burst_size × T")
def burst(mean_gap_ns: float, random: Random, burst_size: int) -> Iterator[int]:
    """To the nanosecond. The phase is drawn, so tasks of one period do not arrive together."""
    period_ns, phase = mean_gap_ns * burst_size, random.uniform()
    return (at for n in count() for at in repeat(int((phase + n) * period_ns), burst_size))
