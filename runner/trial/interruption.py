"""Ctrl-C and SIGTERM. Both raise `KeyboardInterrupt` where the main thread is, and that is not
always enough: Python drops an exception that falls into a finalizer or a weak reference's callback,
of which an import runs many. So it is remembered, too."""

import signal

_asked = False


def listen() -> None:
    """From now on Ctrl-C and SIGTERM interrupt this process."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise `KeyboardInterrupt` if somebody has asked for it; for loops that wait."""
    if _asked:
        raise KeyboardInterrupt
