"""The processes that are drawn from the seed alone, and the closed loop."""

import math
from collections.abc import Iterator
from itertools import count, repeat

from runner.config.arrivals.base import BLOCK, Random, cumulated, process


@process(
    "the next request arrives when the last one is done",
    no_rate="a closed loop has no rate: the next request arrives when the last one is done",
)
def closed(mean_gap_ns: float, random: Random, in_flight: int) -> None:
    """Nothing to schedule: who runs the requests keeps so many in flight."""


@process("every T")
def periodic(mean_gap_ns: float, random: Random) -> Iterator[int]:
    return burst(mean_gap_ns, random, 1)


@process("burst_size at once, every burst_size × T")
def burst(mean_gap_ns: float, random: Random, burst_size: int) -> Iterator[int]:
    """To the nanosecond. The phase is drawn, so tasks of one period do not arrive together."""
    period_ns, phase = mean_gap_ns * burst_size, random.uniform()
    return (at for n in count() for at in repeat(int((phase + n) * period_ns), burst_size))


@process("independent arrivals, exponential gaps")
def poisson(mean_gap_ns: float, random: Random) -> Iterator[int]:
    return cumulated(lambda: random.exponential(mean_gap_ns, BLOCK))


@process("gamma gaps with coefficient of variation cv")
def gamma(mean_gap_ns: float, random: Random, cv: float) -> Iterator[int]:
    """cv: 1 is Poisson, above it arrivals clump."""
    return cumulated(lambda: random.gamma(cv**-2, mean_gap_ns * cv**2, BLOCK))


@process("log-normal gaps of width sigma")
def lognormal(mean_gap_ns: float, random: Random, sigma: float) -> Iterator[int]:
    """sigma: standard deviation of a gap's logarithm; the mean gap stays what it is."""
    mu = math.log(mean_gap_ns) - sigma**2 / 2
    return cumulated(lambda: random.lognormal(mu, sigma, BLOCK))


@process("gaps uniform in [T/2, 3T/2)")
def jitter(mean_gap_ns: float, random: Random) -> Iterator[int]:
    """The pacing of the XSched artifact. Beyond a block the same gaps come again: schedules of
    recorded experiments stay what they were."""
    gaps = random.uniform(0.5, 1.5, BLOCK) * mean_gap_ns
    return cumulated(lambda: gaps)
