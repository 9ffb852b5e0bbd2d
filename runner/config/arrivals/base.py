"""What an arrival process is. numpy is not imported here: the schema lists the processes, and an
error in a configuration answers at once."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Gaps: TypeAlias = "NDArray[np.float64]"
Random: TypeAlias = "np.random.Generator"
#: Nanoseconds after the common start, endless, never going back; None for a closed loop.
Schedule = Iterator[int] | None
#: Called with the mean gap in nanoseconds, the generator that everything random comes from, and by
#: name what the process takes besides.
MakeSchedule = Callable[..., Schedule]
AnyMakeSchedule = TypeVar("AnyMakeSchedule", bound=MakeSchedule)

#: Gaps drawn at once.
BLOCK = 4096
#: Over 27 hours: longer than any window, and short enough for a block's sum to stay an int64.
LONGEST_NS = 100_000 * 10**9


@dataclass(frozen=True)
class Process:
    """doc: what it is, T being the mean gap. takes: keys of the configuration besides the rate.
    no_rate: why it has no use for a rate, "" if it has."""

    schedule: MakeSchedule
    doc: str
    takes: tuple[str, ...]
    no_rate: str


#: By the name that a configuration uses.
PROCESSES: dict[str, Process] = {}


def process(doc: str, no_rate: str = "") -> Callable[[AnyMakeSchedule], AnyMakeSchedule]:
    """Make a function ``(mean_gap_ns, random, …)`` the process of its name. Its further parameters
    are named as the keys of `ArrivalConfig` whose values it is given. Without a rate `mean_gap_ns`
    is not a number."""

    def register(schedule: AnyMakeSchedule) -> AnyMakeSchedule:
        name = schedule.__name__
        assert name not in PROCESSES, f"two arrival processes are called {name}"
        _, _, *takes = inspect.signature(schedule).parameters
        PROCESSES[name] = Process(schedule, doc, tuple(takes), no_rate)
        return schedule

    return register


def cumulated(draw: Callable[[], Gaps]) -> Iterator[int]:
    """Arrivals from blocks of gaps in nanoseconds. The first block is drawn now, outside the
    window."""
    return _from_blocks(draw(), draw)


def _from_blocks(gaps: Gaps, draw: Callable[[], Gaps]) -> Iterator[int]:
    offset = 0
    while True:
        times = gaps.clip(1, LONGEST_NS).cumsum().astype("int64").tolist()
        for time in times:
            yield offset + time
        offset += times[-1]
        gaps = draw()
