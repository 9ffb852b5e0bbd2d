"""A closed loop: nothing is scheduled, a request follows its predecessor."""

from runner.config.arrivals.base import Random, process


@process(
    "the next request arrives when the last one is done",
    no_rate="a closed loop has no rate: the next request arrives when the last one is done",
)
def closed(mean_gap_ns: float, random: Random) -> None:
    """Nothing to schedule."""
