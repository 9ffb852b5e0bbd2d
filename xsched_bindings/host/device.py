"""The device, seen from outside: a warm process that runs an executor for every stream.

A device outlives the trials that use it, so a sweep imports torch and builds its models once.
"""

import os
import signal
import socket
from collections.abc import Sequence
from typing import IO

from xsched_bindings.host.executor import Memory
from xsched_bindings.host.pace import Pace, PaceMemory
from xsched_bindings.host.stream import HostStream, LoadedProgram
from xsched_bindings.host.warm import FDS_PER_MESSAGE, Spec, WarmProcess, WarmSession

#: On one stream: an executor gets three descriptors, and one to answer each waiter.
MOST_WAITERS = FDS_PER_MESSAGE - 3


class Device(WarmProcess):
    """The parent's handle on a device process.

    loader: ``"module:function"``, called in the device process with a specification (a mapping of
        plain values) and returning a `Program`.
    cores: CPU cores that executors are pinned to; None leaves them where the parent runs.
    stderr: where the process and its executors write their last words.
    """

    name = "the device process"

    def __init__(
        self, loader: str, cores: Sequence[int] | None = None, stderr: IO[bytes] | int | None = None
    ) -> None:
        arguments = {"load": loader, "cores": list(cores or [])}
        super().__init__("xsched_bindings.host.device_server", arguments, os.environ, stderr)

    def connect(self) -> "DeviceSession":
        """A new session. Its file descriptor may be passed on to a child process."""
        return DeviceSession(self.open_session(), self.process.pid)


class DeviceSession(WarmSession):
    """One user's connection to a device: loads programs, opens streams. pid: the device's."""

    name = Device.name

    def __init__(self, connection: socket.socket, pid: int) -> None:
        super().__init__(connection, pid)
        self._opened: list[HostStream | Pace] = []

    def load(self, spec: Spec) -> LoadedProgram:
        """Build a program on the device (once; later calls answer at once).

        Raises RuntimeError with the loader's own words if it fails, `DeviceLost` if it dies.
        """
        reply = self.ask({"do": "load", "spec": dict(spec)})
        return LoadedProgram(base=0, commands=reply["commands"], seconds=reply["seconds"])

    def open_stream(self, specs: Sequence[Spec], waiters: int = 1, niceness: int = 0) -> HostStream:
        """A hardware queue of its own that can run the programs `specs`.

        waiters: how many threads will wait for completions on it, each with its own marker.
        niceness: 0 to 19 above the device's, the operating system's own priority hint for the
            executor.
        """
        command_read, command_write = os.pipe()
        replies = [os.pipe() for _ in range(waiters)]
        gate = os.eventfd(0)
        memory = os.memfd_create("xsched-stream")
        os.ftruncate(memory, Memory.BYTES)
        theirs = [command_read, gate, memory, *(write for _, write in replies)]
        question = {
            **{"do": "fork", "role": "executor", "niceness": niceness},
            "specs": [dict(spec) for spec in specs],
        }
        try:
            reply = self.ask(question, theirs)
        except BaseException:
            for fd in [command_write, *(read for read, _ in replies), gate, memory]:
                os.close(fd)
            raise
        finally:
            for fd in [command_read, *(write for _, write in replies)]:
                os.close(fd)
        stream = HostStream(
            pid=reply["pid"],
            programs=reply["programs"],
            command_fd=command_write,
            reply_fds=[read for read, _ in replies],
            gate_fd=gate,
            memory_fd=memory,
        )
        self._opened.append(stream)
        return stream

    @property
    def cores(self) -> set[int]:
        """Those of the device, once it has answered something."""
        return os.sched_getaffinity(self.pid)

    def keep_pace(self, core: int) -> Pace:
        """Keep that core awake and tell its pace, until the session ends."""
        fd = os.memfd_create("xsched-pace")
        try:
            os.ftruncate(fd, PaceMemory.BYTES)
            asked = {"do": "fork", "core": core}
            awake = self.ask({**asked, "role": "awake"})
            told = self.ask({**asked, "role": "pace"}, [fd])
            pace = Pace(core, [awake["pid"], told["pid"]], PaceMemory(fd))
        finally:
            os.close(fd)
        self._opened.append(pace)
        return pace

    def close(self) -> None:
        """End the session, and its streams with it."""
        super().close()
        for each in self._opened:
            each.close()

    def fate(self, pid: int) -> str:
        """How the executor `pid` ended, in words; "running" while it has not."""
        code = self.exit_code(pid)
        if code is None:
            return "running"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
