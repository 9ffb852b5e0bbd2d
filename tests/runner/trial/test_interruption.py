import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from runner.trial import interruption


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(interruption, "_asked", False)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_somebody_dropped_is_remembered(number: signal.Signals) -> None:
    interruption.listen()
    interruption.check()
    with suppress(KeyboardInterrupt):  # as a weak reference's callback does
        os.kill(os.getpid(), number)
    with pytest.raises(KeyboardInterrupt):
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


def test_an_interruption_from_before_is_not_heard_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_asked", True)
    with interruption.deferred():
        pass


def test_an_error_goes_before_an_interruption_and_that_is_remembered() -> None:
    interruption.listen()
    with pytest.raises(ValueError, match="first"), interruption.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("first")
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
