import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from runner.trial import interruption


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    for number in interruption.SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # under nohup one is ignored
    yield
    interruption.listen()  # forgets
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_that_somebody_dropped_is_remembered(number: signal.Signals) -> None:
    interruption.listen()
    interruption.check()
    with suppress(KeyboardInterrupt):  # as a weak reference's callback does
        os.kill(os.getpid(), number)
    with pytest.raises(KeyboardInterrupt):
        interruption.check()


def test_a_second_one_in_a_row_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption.listen()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + interruption.PATIENCE_S)
    with pytest.raises(KeyboardInterrupt):  # whoever asks much later means it
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As nohup does it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruption.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    interruption.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruptions_wait_for_what_is_written_however_many(number: signal.Signals) -> None:
    interruption.listen()
    done = []
    with pytest.raises(KeyboardInterrupt), interruption.deferred():
        for _ in range(3):
            os.kill(os.getpid(), number)
        with interruption.deferred():
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_an_interruption_from_before_is_not_heard_twice() -> None:
    interruption.listen()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with interruption.deferred():
        pass


def test_an_error_goes_before_an_interruption_and_that_is_remembered() -> None:
    interruption.listen()
    with pytest.raises(ValueError, match="first"), interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("first")
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
