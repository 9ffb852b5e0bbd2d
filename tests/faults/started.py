"""The command in a process that is forked from this one: no imports, so that hundreds are quick."""

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# What the command imports, once for all. Pyarrow imports pandas with the first array.
import hydra  # noqa: F401
import numpy as np
import pyarrow as pa
import scipy.special  # noqa: F401

import runner.results.drawings.run
import runner.results.drawings.timelines  # noqa: F401
from tests.faults import instant

pa.array(np.zeros(1))


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
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Started(pid, log)
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(descriptor, number)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
        sys.argv = ["runner", *arguments]
        prepare()
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run(
    arguments: Sequence[str],
    log: Path,
    prepare: Callable[[], object] = lambda: None,
    command: Callable[[], object] = instant.command,
) -> Ended:
    return start(arguments, log, prepare, command).wait()
