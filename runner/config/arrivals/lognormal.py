"""A renewal process with log-normal gaps."""

import math
from collections.abc import Iterator

from runner.config.arrivals.base import BLOCK, Random, cumulated, process


@process("log-normal gaps of width sigma")
def lognormal(mean_gap_ns: float, random: Random, sigma: float) -> Iterator[int]:
    """sigma: standard deviation of a gap's logarithm; the mean gap stays what it is."""
    mu = math.log(mean_gap_ns) - sigma**2 / 2
    return cumulated(lambda: random.lognormal(mu, sigma, BLOCK))
