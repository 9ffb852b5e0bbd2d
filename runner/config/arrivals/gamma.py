"""A renewal process with gamma gaps."""

from collections.abc import Iterator

from runner.config.arrivals.base import BLOCK, Random, cumulated, process


@process("gamma gaps with coefficient of variation cv")
def gamma(mean_gap_ns: float, random: Random, cv: float) -> Iterator[int]:
    """cv: 1 is Poisson, above it arrivals clump."""
    return cumulated(lambda: random.gamma(cv**-2, mean_gap_ns * cv**2, BLOCK))
