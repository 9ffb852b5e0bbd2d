"""Ctrl-C, SIGTERM and SIGHUP. All raise `KeyboardInterrupt` where the main thread is, and that is
not always enough: Python drops an exception that falls into a finalizer or a weak reference's
callback, of which an import runs many. So it is remembered, too. And it can be too much: from the
start of the window until what was measured is kept it is remembered only, and heard by whoever
waits."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: After an interruption, for how long others say the same.
PATIENCE_S = 10.0

_asked_s: float | None = None
_by = ""
_deferring = False


def listen() -> None:
    """From now on these signals interrupt this process; SIGHUP not under nohup."""
    global _asked_s
    _asked_s = None
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def end() -> None:
    """From now on they do nothing: a late one must change neither the exit code nor how what runs
    at the exit ends. Python gives signals their defaults back before it is gone."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, _: object) -> None:
    global _asked_s, _by
    now = time.monotonic()
    if _asked_s is None or now - _asked_s > PATIENCE_S:
        _asked_s = now
        _by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        if not _deferring:
            raise KeyboardInterrupt(_by)


@contextmanager
def deferred() -> Iterator[None]:
    """Here interruptions, however many, raise nothing but in `check`: whoever waits calls that, and
    whoever defers after the end of this."""
    global _deferring
    before, _deferring = _deferring, True
    try:
        yield
    finally:
        _deferring = before


@contextmanager
def kept() -> Iterator[None]:
    """An interruption that falls in here stays one, whatever error is made of it: libraries that
    are interrupted while they are imported raise others."""
    before = _asked_s
    try:
        yield
    except Exception as error:
        if _asked_s != before and not _deferring:
            raise KeyboardInterrupt(_by) from error
        raise


def check() -> None:
    """Raise `KeyboardInterrupt` (who asked) if somebody has asked for it; for loops that wait."""
    if _asked_s is not None:
        raise KeyboardInterrupt(_by)
