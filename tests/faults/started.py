"""The command in a process that is forked from this one: no imports, so that hundreds are quick."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import forked
from tests.faults import instant


@dataclass(frozen=True)
class Ended:
    """How it ended. code: the exit code, below zero the signal that killed it."""

    code: int
    said: str

    @property
    def lines(self) -> list[str]:
        return self.said.splitlines()


@dataclass(frozen=True)
class Started:
    pid: int
    log: Path

    def wait(self) -> Ended:
        _, status = os.waitpid(self.pid, 0)
        return Ended(os.waitstatus_to_exitcode(status), self.log.read_text(errors="replace"))


def start(
    arguments: Sequence[str],
    log: Path,
    prepare: Callable[[], object] = lambda: None,
    command: Callable[[], object] = instant.command,
) -> Started:
    """prepare: called in the new process. log: takes both its outputs."""

    def prepared() -> None:
        prepare()
        command()

    return Started(forked.fork(["runner", *arguments], prepared, (log, log)), log)


def run(
    arguments: Sequence[str],
    log: Path,
    prepare: Callable[[], object] = lambda: None,
    command: Callable[[], object] = instant.command,
) -> Ended:
    return start(arguments, log, prepare, command).wait()
