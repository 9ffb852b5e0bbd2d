"""Ctrl-C and SIGTERM. Both raise `KeyboardInterrupt` where the main thread is, and that is not
always enough: Python drops an exception that falls into a finalizer or a weak reference's callback,
of which an import runs many. So it is remembered, too."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_asked = False
_deferring = 0


def listen() -> None:
    """From now on Ctrl-C and SIGTERM interrupt this process."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    global _asked
    _asked = True
    if not _deferring:
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Interruptions, however many, wait for the end of this: what is written is written whole. One
    from before has been heard already."""
    global _deferring
    before = _asked
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
    if not (_deferring or before):
        check()


def check() -> None:
    """Raise `KeyboardInterrupt` if somebody has asked for it; for loops that wait."""
    if _asked:
        raise KeyboardInterrupt
