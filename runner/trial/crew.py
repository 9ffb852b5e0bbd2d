"""The processes of a trial, seen from the parent: start them, let them meet, follow them."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.platforms.contract import ChildSetup, Platform, last_words
from runner.trial import interruption
from runner.trial.messages import Gather, Outcome, Ready, Saying, Solo
from runner.trial.recording import Recording

ROOT = Path(__file__).parents[2]
LOOK_S = 1.0
#: Longest way to the window: building models, calibration, proofs. A trial that hangs there would
#: hold its device from everybody else for ever.
SET_UP_S = 900.0


class Progress(Protocol):
    """Whoever shows how the trial goes."""

    def say(self, text: str) -> None: ...

    def show(self, recording: Recording) -> None: ...


class Lost(RuntimeError):
    """A process of the trial, or something that it needs, has died."""


@dataclass
class _Member:
    name: str
    process: "subprocess.Popen[bytes]"
    messages: Connection
    log: Path


class Crew:
    """All processes of one trial; their stderr goes to logs in `folder`. A context manager that
    leaves none of them behind."""

    def __init__(
        self, trial: TrialSpec, platform: Platform, recording: Recording, folder: Path
    ) -> None:
        self._trial, self._platform = trial, platform
        self._recording, self._folder = recording, folder
        self._members: list[_Member] = []
        #: Wakes the workers of each group that runs side by side when it is done.
        self._stop_fds = [os.eventfd(0) for _ in trial.groups]

    def __enter__(self) -> "Crew":
        setups = self._platform.children(self._trial)
        for number, setup in enumerate(setups):
            self._members.append(self._start(number, setup, len(setups)))
        self._platform.release_children()
        return self

    def _start(self, number: int, setup: ChildSetup, count: int) -> _Member:
        ours, theirs = Pipe()
        name = self._trial.tasks[setup.tasks[0]].name if count > 1 else ""
        fds = {"parent": theirs.fileno(), "recording": self._recording.fd, **setup.fds}
        start = {
            "fds": fds,
            "stop_fds": self._stop_fds,
            "cores": setup.cores,
            "tasks": setup.tasks,
            "number": number,
            "count": count,
            "details": setup.details,
        }
        log = self._folder / (f"stderr-{name}.log" if name else "stderr.log")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", setup.module, json.dumps(start)],
                pass_fds=[*fds.values(), *self._stop_fds],
                env={**setup.environment, "PYTHONPATH": _python_path()},
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C in the terminal is the parent's business alone
            )
        theirs.close()
        called = f"the process of task {name}" if name else "the trial's process"
        return _Member(called, process, ours, log)

    def run(
        self,
        known: dict[ModelSpec, float],
        progress: Progress,
        before_window: Callable[[], None],
    ) -> Outcome:
        """Follow the trial to its outcome; solo times that it measures are added to `known`.

        Raises `Lost` if a process, or something that the platform runs for them, dies."""
        ready: set[int] = set()
        meeting: dict[int, Any] = {}
        outcomes: dict[int, Outcome] = {}
        doing, give_up = "starting", time.monotonic() + SET_UP_S
        for number in range(len(self._members)):
            self._send(number, (self._trial.as_dict(), dict(known)))
        while True:
            interruption.check()
            spoke = wait([m.messages for m in self._members], LOOK_S)
            if not spoke:
                progress.show(self._recording)
                if trouble := self._platform.trouble():
                    raise Lost(trouble)
                if time.monotonic() > give_up:
                    raise Lost(f"the set-up did not end within {SET_UP_S:.0f} s ({doing})")
            for number, member in enumerate(self._members):
                if member.messages not in spoke or number in outcomes:
                    continue
                match self._receive(number):
                    case Saying(text):
                        doing = text
                        progress.say(text)
                    case Solo(seconds):
                        known.update(seconds)
                    case Gather(value):
                        meeting[number] = value
                    case Ready():
                        ready.add(number)
                    case Outcome() as outcome:
                        outcomes[number] = outcome
                        if outcome.error or len(outcomes) == len(self._members):
                            return outcome if outcome.error else outcomes[0]
            if len(meeting) == len(self._members):
                values = [meeting[number] for number in sorted(meeting)]
                meeting.clear()
                self._send_all(values)
            if len(ready) == len(self._members):
                ready.clear()
                before_window()
                give_up = math.inf  # from here on the window's own limit counts
                progress.say("measuring")
                self._send_all("go")

    @property
    def pids(self) -> list[int]:
        return [member.process.pid for member in self._members]

    def _send_all(self, message: Any) -> None:
        for number in range(len(self._members)):
            self._send(number, message)

    def _send(self, number: int, message: Any) -> None:
        try:
            self._members[number].messages.send(message)
        except ConnectionError as error:
            raise self._lost(number) from error

    def _receive(self, number: int) -> Any:
        try:
            return self._members[number].messages.recv()
        except (EOFError, ConnectionError) as error:
            raise self._lost(number) from error

    def _lost(self, number: int) -> Lost:
        member = self._members[number]
        code = member.process.wait()
        fate = (
            f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        # What it died of may be something else's death, which then is the better reason.
        trouble = self._platform.trouble()
        return Lost(trouble or f"{member.name} {fate}{last_words(member.log)}")

    def __exit__(self, *exc: object) -> None:
        for member in self._members:
            member.process.kill()
        for member in self._members:
            member.process.wait()
            member.messages.close()
        for fd in self._stop_fds:
            os.close(fd)


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
