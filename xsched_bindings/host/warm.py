"""A warm process, seen from outside: it loads what others need and forks them, so that each starts
in milliseconds.

It outlives those who use it. Each user talks to it through a session of its own, a socket that can
be handed to a child process; what was forked in a session ends with the session's last holder.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.processes import stands_still
from xsched_bindings.openmp import unpinned

Spec = Mapping[str, Any]

MESSAGE_BYTES = 1 << 18
FDS_PER_MESSAGE = 253  # SCM_MAX_FD of Linux
#: Longest wait for an answer that needs no work; a process that is stopped gives none.
ANSWER_S = 5.0
#: Libraries start threads by these, and a process that has threads cannot be forked.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator
}
ROOT = Path(__file__).parents[2]


class WarmProcess:
    """The parent's handle on a warm process.

    name: what it is called when it is lost.
    module: what Python runs, see `xsched_bindings.host.warm_server`.
    arguments: for the module, plain values.
    environment: all of its variables, but for the module path and the number of threads.
    stderr: where the process and its forks write their last words.
    """

    name = "the warm process"

    def __init__(
        self,
        module: str,
        arguments: Mapping[str, Any],
        environment: Mapping[str, str],
        stderr: IO[bytes] | int | None = None,
    ) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        told = json.dumps({**arguments, "control": theirs.fileno()})
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, told],
            pass_fds=[theirs.fileno()],
            env={**unpinned(environment), **ONE_THREAD, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C in the terminal is the parent's business alone
        )
        theirs.close()

    def open_session(self) -> socket.socket:
        """Our end of a new session. Raises `DeviceLost` if the process has ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(self._control, [b"session"], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise DeviceLost(f"{self.name} has ended") from error
        finally:
            theirs.close()
        return ours

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the process and everything that it has forked."""
        self._control.close()
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class WarmSession:
    """One user's connection to a warm process. pid: that process's."""

    name = WarmProcess.name

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid

    @classmethod
    def from_fd(cls, fd: int, pid: int) -> Self:
        """The session behind an inherited file descriptor."""
        return cls(socket.socket(fileno=fd), pid)

    def fileno(self) -> int:
        return self._connection.fileno()

    @property
    def stopped(self) -> bool:
        """Whether the process is stopped or dead, as the operating system sees it."""
        return stands_still(Path(f"/proc/{self.pid}/stat").read_bytes())

    def exit_code(self, pid: int) -> int | None:
        """How the forked process `pid` ended, negative for a signal; None while it has not."""
        code: int | None = self.ask({"do": "exit_code", "pid": pid}, timeout_s=ANSWER_S)["code"]
        return code

    def ask(
        self, question: dict[str, Any], fds: Sequence[int] = (), timeout_s: float | None = None
    ) -> dict[str, Any]:
        """The answer to a question with these descriptors. Raises RuntimeError with the other
        side's own words if it fails there, `DeviceLost` if the process dies."""
        self._connection.settimeout(timeout_s)
        try:
            socket.send_fds(self._connection, [json.dumps(question).encode()], fds)
            answer = self._connection.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            raise DeviceLost(f"{self.name} gave no answer for {timeout_s:g} s") from error
        except OSError as error:
            raise DeviceLost(f"{self.name} has ended: {error}") from error
        if not answer:
            raise DeviceLost(f"{self.name} ended during {question['do']!r}")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            failure = RuntimeError(reply["error"])
            failure.add_note(reply["traceback"])
            raise failure
        return reply

    def close(self) -> None:
        """End the session; what was forked in it is killed, once no copy of the connection is left
        in another process."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
