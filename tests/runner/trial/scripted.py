"""Processes of a trial that say to the parent what a script tells them, and a platform of them.

A step of a script is a message, or what the process does: `Pause`, `Die`."""

import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.platforms.contract import ChildSetup
from runner.trial.messages import Begin, Gather, Ready, Saying
from xsched_bindings.host.processes import die_with_parent


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Die:
    """End with a code; below zero, by that signal."""

    code: int


@dataclass(frozen=True)
class Mumble:
    """The beginning of a message, and no end."""


FOREVER = Pause(600.0)


NO_DESCRIPTOR = 1_000_000


class ScriptedPlatform:
    """What `Crew` asks of a platform. A process a script; it has all tasks or, if there are
    several, one. A script of None is of a process that cannot be started. trouble: what it says of
    itself."""

    def __init__(self, *scripts: list[object] | None, trouble: str = "") -> None:
        self._scripts, self._trouble = scripts, trouble

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        everyone = list(range(len(trial.tasks)))
        shares = [everyone] if len(self._scripts) == 1 else [[index] for index in everyone]
        return [
            ChildSetup(
                tasks,
                fds={} if script is not None else {"closed": NO_DESCRIPTOR},
                details={"script": script},
                module=self.__module__,
            )
            for tasks, script in zip(shares, self._scripts, strict=True)
        ]

    def release_children(self) -> None: ...

    def trouble(self) -> str:
        return self._trouble


def two_tasks() -> TrialSpec:
    config = Config()
    config.task_set.tasks = {"first": TaskConfig(), "second": TaskConfig()}
    return resolve(config)


def act(step: object, parent: Connection) -> None:
    match step:
        case Pause(seconds):
            time.sleep(seconds)
        case Mumble():
            os.write(parent.fileno(), b"\0")
        case Die(code):
            print("a line of the log\nits last words", file=sys.stderr, flush=True)
            if code < 0:
                os.kill(os.getpid(), -code)
            os._exit(code)
        case Gather() | Ready():
            parent.send(step)
            parent.send(Saying(f"was told {parent.recv()}"))
        case _:
            parent.send(step)


def main(argument: str) -> None:
    die_with_parent()
    parent = Connection(int(argument))
    begin: Begin = parent.recv()
    parent.send(Saying(f"{begin.role.number} begins {begin.spec.config_hash} {begin.solo}"))
    for step in begin.role.details["script"]:
        act(step, parent)


if __name__ == "__main__":
    # Steps come pickled by the name of this module, so they must be matched with its own classes.
    from tests.runner.trial import scripted

    scripted.main(sys.argv[1])
