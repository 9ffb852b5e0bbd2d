"""The processes of a trial, seen from the parent: start them, let them meet, follow them."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.platforms.contract import ChildSetup, Platform, last_words
from runner.platforms.start import Process, Start, fate
from runner.trial import interruption, limits
from runner.trial.messages import (
    Begin,
    Gather,
    Gathered,
    Go,
    Outcome,
    Ready,
    Role,
    Saying,
    Solo,
)
from runner.trial.recording import Recording

LOOK_S = 1.0


class Progress(Protocol):
    """Whoever shows how the trial goes."""

    def say(self, text: str) -> None: ...

    def show(self, recording: Recording) -> None: ...


class Lost(RuntimeError):
    """A process of the trial, or something that it needs, has died or hangs."""


@dataclass
class _Member:
    """One process. reached: where it waits for the others, or its end; None while it works."""

    name: str
    process: Process
    messages: Connection
    log: Path
    role: Role
    reached: Gather | Ready | Outcome | None = None

    def tell(self, message: Begin | Gathered | Go) -> None:
        self.reached = None
        with self._talk():
            self.messages.send(message)

    def hear(self) -> Any:
        with self._talk():
            return self.messages.recv()

    @contextmanager
    def _talk(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError as error:
            silence = f"fell silent in the middle of a message for {limits.MESSAGE_S} s"
            raise Lost(f"{self.name} {silence}") from error
        except (EOFError, ConnectionError) as error:
            raise Lost(f"{self.name} {self._fate()}{last_words(self.log)}") from error

    def _fate(self) -> str:
        try:
            code = self.process.wait(limits.MESSAGE_S)
        except subprocess.TimeoutExpired:
            return "hung up and did not end"
        return fate(code)


class Crew:
    """All processes of one trial; their stderr goes to logs in `folder`. Solo times that they
    measure are added to `known`. A context manager that leaves none of them behind."""

    def __init__(
        self,
        trial: TrialSpec,
        platform: Platform,
        recording: Recording,
        folder: Path,
        known: dict[ModelSpec, float],
        progress: Progress,
    ) -> None:
        self._trial, self._platform = trial, platform
        self._recording, self._folder = recording, folder
        self._known, self._progress = known, progress
        self._members: list[_Member] = []
        #: Wakes the workers of each group that runs side by side when it is done.
        self._stop_fds = [os.eventfd(0) for _ in trial.groups]

    def __enter__(self) -> "Crew":
        setups = self._platform.children(self._trial)
        try:
            for number, setup in enumerate(setups):
                self._members.append(self._start(number, setup, len(setups)))
        except OSError as error:
            raise Lost(f"a process of the trial could not be started: {error}") from error
        finally:
            self._platform.release_children()
            if len(self._members) < len(setups):
                self.__exit__()
        return self

    def _start(self, number: int, setup: ChildSetup, count: int) -> _Member:
        role = Role(
            number=number,
            count=count,
            tasks=setup.tasks,
            cores=setup.cores,
            recording_fd=self._recording.fd,
            stop_fds=self._stop_fds,
            fds=setup.fds,
            details=setup.details,
        )
        ours, theirs = Pipe()
        name = self._trial.tasks[setup.tasks[0]].name if count > 1 else ""
        log = self._folder / (f"stderr-{name}.log" if name else "stderr.log")
        fds = [theirs.fileno(), role.recording_fd, *role.stop_fds, *role.fds.values()]
        with log.open("wb") as stderr:
            process = setup.start(
                Start(setup.module, theirs.fileno(), fds, setup.environment, stderr)
            )
        theirs.close()
        _limit_silence(ours)
        called = f"the process of task {name}" if name else "the trial's process"
        return _Member(called, process, ours, log, role)

    def run(self, before_window: Callable[[], None]) -> Outcome:
        """Follow the trial to its outcome. before_window: called when all processes are ready,
        before they are let into the window.

        Raises `Lost` if a process, or something that the platform runs for them, dies."""
        try:
            return self._follow(before_window)
        except Lost as lost:
            # What a process died of may be something else's death, which then is the better reason.
            raise Lost(self._platform.trouble() or str(lost)) from lost

    def _follow(self, before_window: Callable[[], None]) -> Outcome:
        self._doing = "starting"
        self._allow("set-up", limits.SET_UP_S)
        for member in self._members:
            member.tell(Begin(self._trial, dict(self._known), member.role))
        while True:
            speaking = self._speaking()
            for member in speaking:
                self._take(member)
                if outcome := self._outcome():
                    return outcome
            interruption.check()  # not before what has been said: that may be the outcome
            if not speaking:
                self._look_around()
            self._answer(before_window)

    def _speaking(self) -> list[_Member]:
        """The members that have a message, or have died, as soon as there are any."""
        working = [m for m in self._members if not isinstance(m.reached, Outcome)]
        spoke = wait([member.messages for member in working], LOOK_S)
        return [member for member in working if member.messages in spoke]

    def _look_around(self) -> None:
        """For a moment nobody has said anything."""
        self._progress.show(self._recording)
        if trouble := self._platform.trouble():
            raise Lost(trouble)
        step, limit_s, give_up = self._step
        if time.monotonic() > give_up:
            raise Lost(f"the {step} did not end within {limit_s:.0f} s ({self._doing})")

    def _allow(self, step: str, limit_s: float) -> None:
        """A new step begins, and may take so long."""
        self._step = step, limit_s, time.monotonic() + limit_s

    def _take(self, member: _Member) -> None:
        match member.hear():
            case Saying(text):
                self._doing = text
                self._progress.say(text)
            case Solo(seconds):
                self._known.update(seconds)
            case Gather() | Ready() | Outcome() as reached:
                member.reached = reached

    def _outcome(self) -> Outcome | None:
        """That of the trial: an error of any process, or, when all have ended, the first one's with
        everybody's marks and checks; those of one server are the same for all."""
        outcomes = [m.reached for m in self._members if isinstance(m.reached, Outcome)]
        for outcome in outcomes:
            if outcome.error:
                return outcome
        if len(outcomes) < len(self._members):
            return None
        first = outcomes[0]
        marks = tuple(mark for outcome in outcomes for mark in outcome.found.marks)
        made = [check for outcome in outcomes for check in outcome.found.checks]
        checks = tuple(check for at, check in enumerate(made) if check not in made[:at])
        return replace(first, found=replace(first.found, marks=marks, checks=checks))

    def _answer(self, before_window: Callable[[], None]) -> None:
        """If all wait at the same place, let them go on."""
        reached = [member.reached for member in self._members]
        parts = [each.value for each in reached if isinstance(each, Gather)]
        if len(parts) == len(reached):
            self._tell_all(Gathered(parts))
        elif all(isinstance(each, Ready) for each in reached):
            before_window()
            self._allow("window", limits.window_s(self._trial))
            self._doing = "measuring"
            self._progress.say(self._doing)
            self._tell_all(Go())

    def _tell_all(self, message: Gathered | Go) -> None:
        for member in self._members:
            member.tell(message)

    @property
    def pids(self) -> list[int]:
        return [member.process.pid for member in self._members]

    def __exit__(self, *exc: object) -> None:
        for member in self._members:
            member.process.kill()
        for member in self._members:
            member.process.wait()
            member.messages.close()
        for fd in self._stop_fds:
            os.close(fd)


def _limit_silence(connection: Connection) -> None:
    """Have the kernel end a read or write of part of a message with `BlockingIOError`."""
    limit = struct.pack("@ll", limits.MESSAGE_S, 0)
    with socket.socket(fileno=os.dup(connection.fileno())) as behind:
        behind.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        behind.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
