"""The device, seen from outside: start it, connect to it, load programs, open streams.

A device outlives the trials that use it, so a sweep imports torch and builds its models once. Each
user talks to it through a session of its own, a socket that can be handed to a child process.
"""

import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.processes import stands_still
from xsched_bindings.host.stream import HostStream, LoadedProgram

Spec = Mapping[str, Any]

MESSAGE_BYTES = 1 << 18
FDS_PER_MESSAGE = 253  # SCM_MAX_FD of Linux
#: On one stream: an executor gets three descriptors, and one to answer each waiter.
MOST_WAITERS = FDS_PER_MESSAGE - 3
#: Longest wait for an answer that needs no work; a device that is stopped gives none.
ANSWER_S = 5.0


class Device:
    """The parent's handle on a device process.

    loader: ``"module:function"``, called in the device process with a specification (a mapping of
        plain values) and returning a `Program`.
    cores: CPU cores that executors are pinned to; None leaves them where the parent runs.
    stderr: where the process and its executors write their last words.
    """

    def __init__(
        self, loader: str, cores: Sequence[int] | None = None, stderr: IO[bytes] | int | None = None
    ) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(__file__).parents[2])
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        }
        arguments = {"loader": loader, "cores": list(cores or []), "control": theirs.fileno()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xsched_bindings.host.device_server", json.dumps(arguments)],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C in the terminal is the parent's business alone
        )
        theirs.close()

    def connect(self) -> "DeviceSession":
        """A new session. Its file descriptor may be passed on to a child process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            socket.send_fds(self._control, [b"session"], [theirs.fileno()])
        except OSError as error:
            raise DeviceLost("the device process has ended") from error
        finally:
            theirs.close()
        return DeviceSession(ours, self.process.pid)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the device and everything it runs."""
        self._control.close()
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class DeviceSession:
    """One user's connection to a device: loads programs, opens streams. pid: the device's."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid

    @classmethod
    def from_fd(cls, fd: int, pid: int) -> "DeviceSession":
        """The session behind an inherited file descriptor."""
        return cls(socket.socket(fileno=fd), pid)

    def fileno(self) -> int:
        return self._connection.fileno()

    def load(self, spec: Spec) -> LoadedProgram:
        """Build a program on the device (once; later calls answer at once).

        Raises RuntimeError with the loader's own words if it fails, `DeviceLost` if it dies.
        """
        reply = self._ask({"do": "load", "spec": dict(spec)}, [])
        return LoadedProgram(base=0, commands=reply["commands"], seconds=reply["seconds"])

    def open_stream(self, specs: Sequence[Spec], waiters: int = 1, niceness: int = 0) -> HostStream:
        """A hardware queue of its own that can run the programs `specs`.

        waiters: how many threads will wait for completions on it, each with its own marker.
        niceness: 0 to 19, the operating system's own priority hint for the executor.
        """
        command_read, command_write = os.pipe()
        replies = [os.pipe() for _ in range(waiters)]
        gate = os.eventfd(0)
        page = os.memfd_create("xsched-stream")
        os.ftruncate(page, mmap.PAGESIZE)
        theirs = [command_read, gate, page, *(write for _, write in replies)]
        try:
            reply = self._ask(
                {"do": "open", "specs": [dict(spec) for spec in specs], "niceness": niceness},
                theirs,
            )
        except BaseException:
            for fd in [command_write, *(read for read, _ in replies), gate, page]:
                os.close(fd)
            raise
        finally:
            for fd in [command_read, *(write for _, write in replies)]:
                os.close(fd)
        return HostStream(
            pid=reply["pid"],
            programs=reply["programs"],
            command_fd=command_write,
            reply_fds=[read for read, _ in replies],
            gate_fd=gate,
            page_fd=page,
        )

    @property
    def stopped(self) -> bool:
        """Whether the device is stopped or dead, as the operating system sees it."""
        return stands_still(Path(f"/proc/{self.pid}/stat").read_bytes())

    def fate(self, pid: int) -> str:
        """How the executor `pid` ended, in words; "running" while it has not."""
        return str(self._ask({"do": "fate", "pid": pid}, [], ANSWER_S)["fate"])

    def _ask(
        self, question: dict[str, Any], fds: Sequence[int], timeout_s: float | None = None
    ) -> dict[str, Any]:
        self._connection.settimeout(timeout_s)
        try:
            socket.send_fds(self._connection, [json.dumps(question).encode()], fds)
            answer = self._connection.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            raise DeviceLost(f"the device process gave no answer for {timeout_s:g} s") from error
        except OSError as error:
            raise DeviceLost(f"the device process has ended: {error}") from error
        if not answer:
            raise DeviceLost(f"the device process ended during {question['do']!r}")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            failure = RuntimeError(reply["error"])
            failure.add_note(reply["traceback"])
            raise failure
        return reply

    def close(self) -> None:
        """End the session; the device kills the executors it opened, once no copy of the
        connection is left in another process."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
