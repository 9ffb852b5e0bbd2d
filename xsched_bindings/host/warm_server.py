"""A warm process: loads things once and forks others, which find them in their memory.

When the last holder of a session is gone, it kills what was forked in the session, stopped
processes included. It is single-threaded: forking a process whose torch has started threads is what
makes torch unreliable after fork.
"""

import importlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import Any

from xsched_bindings.host.processes import close_all_but, die_with_parent, readable
from xsched_bindings.host.warm import FDS_PER_MESSAGE, MESSAGE_BYTES, Spec

Loader = Callable[[Spec], Any]


def loader(named: str) -> Loader:
    """The function that ``"module:function"`` names."""
    module, _, function = named.partition(":")
    found: Loader = getattr(importlib.import_module(module), function)
    return found


@dataclass
class WarmServer:
    """The process's state: what it has loaded, with the seconds that this took, and what it has
    forked, by session. control: where sessions come from; the process ends with it."""

    load: Loader
    control: socket.socket
    loaded: dict[str, tuple[Any, float]] = field(default_factory=dict)
    forked: dict[socket.socket, list[int]] = field(default_factory=dict)
    exit_codes: dict[int, int] = field(default_factory=dict)

    def run(self) -> None:
        while True:
            connections = {each.fileno(): each for each in (self.control, *self.forked)}
            for connection in map(connections.__getitem__, readable(connections)):
                if connection is self.control:
                    message, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 1)
                    if not message:
                        return  # the parent has closed us
                    self.forked[socket.socket(fileno=fds[0])] = []
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
                return self.describe(*self.have(question["spec"]))
            case "fork":
                run, about = self.prepare(question, fds)
                pid = fork(run, fds)
                self.forked[session].append(pid)
                return {"pid": pid, **about}
            case "exit_code":
                return {"code": self._exit_code(question["pid"])}
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")

    def have(self, spec: Spec) -> tuple[Any, float]:
        """What the loader makes of a specification, once, and the seconds that it took."""
        key = json.dumps(spec, sort_keys=True)
        if key not in self.loaded:
            start = time.monotonic()
            made = self.load(spec)
            self.loaded[key] = made, time.monotonic() - start
        return self.loaded[key]

    def describe(self, made: Any, seconds: float) -> dict[str, Any]:
        """What is said of something that was loaded."""
        return {"seconds": seconds}

    def prepare(
        self, question: dict[str, Any], fds: Sequence[int]
    ) -> tuple[Callable[[], None], dict[str, Any]]:
        """What a fork will run, and what is said of it. Raises what speaks against forking."""
        raise NotImplementedError

    def _exit_code(self, pid: int) -> int | None:
        if pid not in self.exit_codes:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == 0:
                return None
            self.exit_codes[pid] = os.waitstatus_to_exitcode(status)
        return self.exit_codes[pid]

    def _end(self, session: socket.socket) -> None:
        for pid in self.forked.pop(session):
            if self.exit_codes.pop(pid, None) is None:
                os.kill(pid, SIGKILL)
                os.waitpid(pid, 0)
        session.close()


def fork(run: Callable[[], None], fds: Sequence[int]) -> int:
    """The id of a new process that keeps only these descriptors, runs, and never returns; once it
    is sure to end with this one: a process that is stopped before that would outlive it."""
    bound, binding = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(run, {0, 1, 2, *fds}, binding)
    os.close(binding)
    os.read(bound, 1)
    os.close(bound)
    return pid


def _become(run: Callable[[], None], keep: set[int], binding: int) -> None:
    code = 1
    try:
        die_with_parent()
        os.write(binding, b"!")
        close_all_but(keep)
        run()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
