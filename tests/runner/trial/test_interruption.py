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
