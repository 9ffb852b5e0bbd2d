"""The device process: loads programs once and forks an executor for every stream.

When the last holder of a session is gone, it kills the session's executors, stopped ones included.
It is single-threaded: forking a process whose torch has started threads is what makes torch
unreliable after fork. Run by `Device`; its one argument is JSON, the arguments of `serve`.
"""

import importlib
import json
import mmap
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xsched_bindings.host.device import FDS_PER_MESSAGE, MESSAGE_BYTES, Spec
from xsched_bindings.host.executor import WORDS, Program, execute
from xsched_bindings.host.processes import close_all_but, die_with_parent, readable

Loader = Callable[[Spec], Program]


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
            connections = {each.fileno(): each for each in (self.control, *self.executors)}
            for connection in map(connections.__getitem__, readable(connections)):
                if connection is self.control:
                    message, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 1)
                    if not message:
                        return  # the parent has closed us
                    self.executors[socket.socket(fileno=fds[0])] = []
                else:
                    self._serve(connection)

    def _serve(self, session: socket.socket) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(session, MESSAGE_BYTES, FDS_PER_MESSAGE)
        except ConnectionResetError:  # it was killed with an answer unread
            message = b""
        if not message:
            self._end(session)
            return
        question = json.loads(message)
        try:
            reply = self._answer(session, question, fds)
        except Exception as error:
            words = "".join(traceback.format_exception_only(error)).strip()
            reply = {"error": words, "traceback": traceback.format_exc()}
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
                pid = _fork_executor(programs, fds, question["niceness"])
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


def _fork_executor(programs: list[Program], fds: list[int], niceness: int) -> int:
    """A new executor's process id, once the executor is sure to end with this process: one that is
    stopped before that would outlive it."""
    bound, binding = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_executor(programs, fds, niceness, binding)
    os.close(binding)
    os.read(bound, 1)
    os.close(bound)
    return pid


def _become_executor(programs: list[Program], fds: list[int], niceness: int, binding: int) -> None:
    """In the forked child: keep only the stream's descriptors, run, and never return."""
    code = 1
    try:
        die_with_parent()
        os.write(binding, b"!")
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


def serve(loader: str, cores: Sequence[int], control: int) -> None:
    """The device process's main function."""
    die_with_parent()
    if cores:
        os.sched_setaffinity(0, cores)
    module, _, function = loader.partition(":")
    load: Loader = getattr(importlib.import_module(module), function)
    _Server(load, socket.socket(fileno=control)).run()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
