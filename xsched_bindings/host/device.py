"""The device: a process that loads programs once and forks an executor for every stream.

It outlives the trials that use it, so a sweep imports torch and builds its models once. Each user
talks to it through a session of its own, a socket that can be handed to a child process; when the
session's last holder is gone, the device kills the session's executors, stopped ones included.

It is single-threaded, as are its children until they fork no more: forking a process whose torch
has started threads is what makes torch unreliable after fork.
"""

import ctypes
import importlib
import json
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.executor import WORDS, Program, execute
from xsched_bindings.host.stream import HostStream, LoadedProgram

Spec = Mapping[str, Any]
Loader = Callable[[Spec], Program]

MESSAGE_BYTES = 1 << 18
FDS_PER_MESSAGE = 253  # SCM_MAX_FD of Linux
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends, stopped or not."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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
            [sys.executable, "-m", "xsched_bindings.host.device_main", json.dumps(arguments)],
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
        return DeviceSession(ours)

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
    """One user's connection to a device: loads programs, opens streams."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @classmethod
    def from_fd(cls, fd: int) -> "DeviceSession":
        """The session behind an inherited file descriptor."""
        return cls(socket.socket(fileno=fd))

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

    def fate(self, pid: int) -> str:
        """How the executor `pid` ended, in words; "running" while it has not."""
        return str(self._ask({"do": "fate", "pid": pid}, [])["fate"])

    def _ask(self, question: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        try:
            socket.send_fds(self._connection, [json.dumps(question).encode()], fds)
            answer = self._connection.recv(MESSAGE_BYTES)
        except OSError as error:
            raise DeviceLost(f"the device process has ended: {error}") from error
        if not answer:
            raise DeviceLost(f"the device process ended during {question['do']!r}")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def close(self) -> None:
        """End the session; the device kills the executors it opened, once no copy of the
        connection is left in another process."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# --- inside the device process --------------------------------------------------------------


@dataclass
class _Server:
    """The device process's state: loaded programs, and each session's executors."""

    load: Loader
    control: socket.socket
    loaded: dict[str, tuple[Program, float]] = field(default_factory=dict)
    executors: dict[socket.socket, list[int]] = field(default_factory=dict)
    fates: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        while True:
            readable, _, _ = select.select([self.control, *self.executors], [], [])
            for connection in readable:
                if connection is self.control:
                    message, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 1)
                    if not message:
                        return  # the parent has closed us
                    self.executors[socket.socket(fileno=fds[0])] = []
                else:
                    self._serve(connection)

    def _serve(self, session: socket.socket) -> None:
        message, fds, _, _ = socket.recv_fds(session, MESSAGE_BYTES, FDS_PER_MESSAGE)
        if not message:
            self._end(session)
            return
        question = json.loads(message)
        try:
            reply = self._answer(session, question, fds)
        except Exception:
            reply = {"error": traceback.format_exc()}
        finally:
            for fd in fds:
                os.close(fd)
        try:
            session.send(json.dumps(reply).encode())
        except OSError:
            self._end(session)

    def _answer(
        self, session: socket.socket, question: dict[str, Any], fds: list[int]
    ) -> dict[str, Any]:
        match question["do"]:
            case "load":
                program, seconds = self._load(question["spec"])
                return {"commands": len(program.commands), "seconds": seconds}
            case "open":
                programs = [self._load(spec)[0] for spec in question["specs"]]
                pid = os.fork()
                if pid == 0:
                    _become_executor(programs, fds, question["niceness"])
                self.executors[session].append(pid)
                return {"pid": pid, "programs": [len(p.commands) for p in programs]}
            case "fate":
                return {"fate": self._fate(question["pid"])}
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")

    def _load(self, spec: dict[str, Any]) -> tuple[Program, float]:
        key = json.dumps(spec, sort_keys=True)
        if key not in self.loaded:
            start = time.monotonic()
            program = self.load(spec)
            self.loaded[key] = program, time.monotonic() - start
        return self.loaded[key]

    def _fate(self, pid: int) -> str:
        if pid not in self.fates:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == 0:
                return "running"
            self.fates[pid] = os.waitstatus_to_exitcode(status)
        code = self.fates[pid]
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _end(self, session: socket.socket) -> None:
        for pid in self.executors.pop(session):
            if pid not in self.fates:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        session.close()


def _become_executor(programs: list[Program], fds: list[int], niceness: int) -> None:
    """In the forked child: keep only the stream's descriptors, run, and never return."""
    code = 1
    try:
        die_with_parent()
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        close_all_but({0, 1, 2, *fds})
        command_fd, gate_fd, page_fd, *reply_fds = fds
        words = memoryview(mmap.mmap(page_fd, mmap.PAGESIZE)).cast("q")[:WORDS]
        execute(programs, command_fd, reply_fds, gate_fd, words)
        code = 0
    except BrokenPipeError:
        code = 0  # the stream was closed while a marker was on its way
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor that is not in `keep`: a copy of a sibling's pipe would keep that
    pipe open, and its reader waiting, after its writer has gone."""
    for fd in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - keep:
        try:
            os.close(fd)
        except OSError:
            pass  # the listing's own descriptor


def serve(loader: str, cores: Sequence[int], control: int) -> None:
    """The device process's main function."""
    die_with_parent()
    if cores:
        os.sched_setaffinity(0, cores)
    module, _, function = loader.partition(":")
    load: Loader = getattr(importlib.import_module(module), function)
    _Server(load, socket.socket(fileno=control)).run()
