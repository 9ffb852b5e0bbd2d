"""A Poisson process: many users who know nothing of each other."""

from collections.abc import Iterator

from runner.config.arrivals.base import BLOCK, Random, cumulated, process


@process("independent arrivals, exponential gaps")
def poisson(mean_gap_ns: float, random: Random) -> Iterator[int]:
    return cumulated(lambda: random.exponential(mean_gap_ns, BLOCK))
