"""Whether a trial's process kept time in the window, or stood still: stopped by a signal, in a
frozen container, on a machine that slept. Its figures would be of the standstill, or hide it."""

import time
from dataclasses import dataclass
from pathlib import Path

from runner.platforms.contract import SHORTEST_STANDSTILL_S, Standstill


@dataclass(frozen=True)
class _Clocks:
    """now_s: CLOCK_MONOTONIC. worked_s: the process's CPU time, and for how long this thread was
    kept from a core by others. asleep_s: how long the machine has slept, which CLOCK_MONOTONIC does
    not count."""

    now_s: float
    worked_s: float
    asleep_s: float

    @classmethod
    def read(cls) -> "_Clocks":
        now_s = time.monotonic()
        asleep_s = time.clock_gettime(time.CLOCK_BOOTTIME) - now_s
        return cls(now_s, time.process_time() + _kept_waiting_s(), asleep_s)


class Beat:
    """Looks that are due at known times; one that comes much too late was not possible earlier. On
    a busy machine it is late, too, but then the process works or waits for a core meanwhile."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._stood_s = self._slept_s = 0.0
        self.begin()

    def begin(self) -> None:
        """What was before does not count."""
        self._before = _Clocks.read()

    def look(self, due_s: float) -> None:
        """Called `due_s` after the look before it, or as soon as that was possible."""
        before, self._before = self._before, _Clocks.read()
        late_s = self._before.now_s - before.now_s - due_s
        self._stood_s += _long(late_s - (self._before.worked_s - before.worked_s))
        self._slept_s += _long(self._before.asleep_s - before.asleep_s)

    @property
    def found(self) -> tuple[Standstill, ...]:
        both = (Standstill(self._who, self._stood_s), Standstill("the machine", self._slept_s))
        return tuple(each for each in both if each.seconds)


def _long(seconds: float) -> float:
    return seconds if seconds >= SHORTEST_STANDSTILL_S else 0.0


def _kept_waiting_s() -> float:
    """0 on a kernel that does not tell."""
    try:
        _, waited_ns, _ = Path("/proc/thread-self/schedstat").read_text().split()
    except OSError:
        return 0.0
    return int(waited_ns) / 1e9
