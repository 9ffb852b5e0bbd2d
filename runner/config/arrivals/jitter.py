"""The pacing of the XSched artifact."""

from collections.abc import Iterator

from runner.config.arrivals.base import BLOCK, Random, cumulated, process


@process("gaps uniform in [T/2, 3T/2)")
def jitter(mean_gap_ns: float, random: Random) -> Iterator[int]:
    """Beyond a block the same gaps come again: schedules of recorded experiments stay what they
    were."""
    gaps = random.uniform(0.5, 1.5, BLOCK) * mean_gap_ns
    return cumulated(lambda: gaps)
