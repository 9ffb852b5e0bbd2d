import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from runner.trial import interruption
from tests.conftest import environment

pytestmark = pytest.mark.usefixtures("signals_as_before")


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


#: A signal while what was registered for the exit runs, as the closing of a platform.
LATE = """
import atexit, os, signal
from runner.commands import run
from runner.trial import interruption
listen = interruption.listen
def then():
    listen()
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
interruption.listen = then
run.run(["nonsense=1"])
"""


def test_a_late_one_changes_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LATE], env=environment(), capture_output=True, text=True
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As nohup does it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruption.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    interruption.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_they_are_deferred_they_are_heard_by_whoever_asks(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruption.listen()
    clock = time.monotonic
    with interruption.deferred():
        interruption.check()
        with interruption.deferred():
            os.kill(os.getpid(), number)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + interruption.PATIENCE_S)
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C" if number == signal.SIGINT else "SIGTERM"):
        interruption.check()


def test_after_an_error_they_raise_again() -> None:
    interruption.listen()
    with pytest.raises(ValueError, match="first"), interruption.deferred():
        raise ValueError("first")
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interruption_of_which_an_import_made_an_error_stays_one() -> None:
    interruption.listen()
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C"), interruption.kept():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("partially initialized module") from None
    with pytest.raises(ValueError, match="later"), interruption.kept():
        raise ValueError("later")  # it has been heard: this one is an error of its own
