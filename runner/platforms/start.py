"""How a process of a trial comes to be."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from xsched_bindings.openmp import unpinned

ROOT = Path(__file__).parents[2]


class Process(Protocol):
    """A process of a trial; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal. Raises `subprocess.TimeoutExpired`."""

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Start:
    """A process to be started: ``python -m module CONNECTION`` with these descriptors (connection
    is one of them) under their own numbers, these variables and no others, its stderr, and no part
    in what the terminal says."""

    module: str
    connection: int
    fds: Sequence[int]
    environment: Mapping[str, str]
    stderr: IO[bytes]


Starter = Callable[[Start], Process]


def afresh(start: Start) -> Process:
    """A new interpreter. Raises OSError."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", start.module, str(start.connection)],
        pass_fds=start.fds,
        env={**unpinned(start.environment), "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stderr=start.stderr,
        start_new_session=True,  # Ctrl-C in the terminal is the parent's business alone
    )


def fate(code: int) -> str:
    """How a process ended, from its exit code: ready to follow its name."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
