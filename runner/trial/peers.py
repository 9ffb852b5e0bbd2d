"""The processes of a trial, as each of them sees the others: they meet through the parent."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from runner.trial.messages import Gather, Gathered


class Peers:
    """`count` processes, of which this is number `mine`. With one process all of it is trivial.

    Every process must make the same calls in the same order."""

    def __init__(self, parent: Connection, mine: int, count: int) -> None:
        self.mine, self.count = mine, count
        self._parent = parent

    def gather(self, value: Any = None, meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Wait for all processes; everybody's values in the order of the processes. meanwhile: done
        again and again until all are there."""
        if self.count == 1:
            return [value]
        self._parent.send(Gather(value))
        while meanwhile and not self._parent.poll():
            meanwhile()
        gathered: Gathered = self._parent.recv()
        return gathered.values

    def in_turn(
        self, action: Callable[[], Any], meanwhile: Callable[[], None] | None = None
    ) -> list[Any]:
        """Everybody does `action` while the others stand still, or do `meanwhile` again and again;
        everybody's results."""
        result = None
        for turn in range(self.count):
            if turn == self.mine:
                result = action()
                self.gather()
            else:
                self.gather(meanwhile=meanwhile)
        return self.gather(result)
