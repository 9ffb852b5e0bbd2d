"""What a request enqueues, and where it leaves its marks."""

import threading
from collections.abc import Callable, Sequence
from itertools import cycle
from math import ceil
from typing import Protocol

from torch import Tensor, nn

from models.parts import parts

#: Of a request of bare commands, at most.
BARE_MARKS = 16


class Marker(Protocol):
    """Who enqueues marks in a task's stream."""

    def mark(self) -> None: ...

    def mark_result(self, result: Tensor) -> None: ...


class _Here(threading.local):
    """Whose request this thread is enqueuing: a module is shared by tasks, each in its thread. None
    while it becomes graphs, which have marks of their own."""

    marker: Marker | None = None


_here = _Here()


def mark_parts(module: nn.Module, most: int) -> int:
    """From now on parts of the module, so many at the most and as far apart as they can be, leave a
    mark behind themselves in the request that goes through them; how many do. Once a module."""
    found = parts(module)
    between = ceil((len(found) + 1) / (most + 1))
    marked = found[between - 1 :: between] if between <= len(found) else []
    for part in marked:
        part.register_forward_hook(_mark)
    return len(marked)


def _mark(*_: object) -> None:
    if _here.marker:
        _here.marker.mark()


def of_module(
    module: nn.Module, inputs: Sequence[tuple[Tensor, ...]], marker: Marker
) -> Callable[[], Tensor]:
    """Enqueues a request of the next input in turn and returns its result, which must stay alive
    until it is computed. Its last mark tells the result's fingerprint."""
    turn = cycle(inputs)

    def enqueue() -> Tensor:
        _here.marker = marker
        result: Tensor = module(*next(turn))
        _here.marker = None
        marker.mark_result(result)
        return result

    return enqueue


def of_commands(
    count: int, command: Callable[[], None], marker: Marker
) -> tuple[Callable[[], None], int]:
    """Enqueues a request of so many bare commands; and how many marks that leaves, one or more."""
    between = max(1, ceil(count / BARE_MARKS))
    groups = [range(min(between, count - at)) for at in range(0, max(1, count), between)]

    def enqueue() -> None:
        for group in groups:
            for _ in group:
                command()
            marker.mark()

    return enqueue, len(groups)
