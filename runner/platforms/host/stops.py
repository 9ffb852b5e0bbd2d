"""Processes that somebody else than the scheduler has stopped, as `kill -STOP` and debuggers do."""

import time
from collections.abc import Collection

from runner.platforms.contract import SHORTEST_STANDSTILL_S, Standstill


class Stops:
    """How long who was stopped, by looks. A stretch counts if it is long: at a single look the
    scheduler may be about to continue what it has stopped itself."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def look(self, stopped: Collection[str]) -> None:
        """These are stopped now, and nobody else is."""
        now = time.monotonic()
        for who in stopped:
            self._since.setdefault(who, now)
        for who in self._since.keys() - set(stopped):
            length_s = now - self._since.pop(who)
            if length_s >= SHORTEST_STANDSTILL_S:
                self._seconds[who] = self._seconds.get(who, 0.0) + length_s

    def end(self) -> tuple[Standstill, ...]:
        """All until now."""
        self.look(())
        return tuple(Standstill(who, seconds) for who, seconds in self._seconds.items())
