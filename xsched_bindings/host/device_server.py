"""The device process: a warm one that loads programs and forks an executor for every stream, and
what keeps the pace of its cores. Run by `Device`; its one argument is JSON, the arguments of
`serve`."""

import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

from xsched_bindings.host.executor import Memory, Program, execute
from xsched_bindings.host.pace import Floats, PaceMemory, fixed_work, keep_pace, stay_awake
from xsched_bindings.host.processes import die_with_parent
from xsched_bindings.host.warm_server import WarmServer, loader


class _Device(WarmServer):
    def describe(self, made: Program, seconds: float) -> dict[str, Any]:
        return {"commands": len(made.commands), "seconds": seconds}

    def prepare(
        self, question: dict[str, Any], fds: Sequence[int]
    ) -> tuple[Callable[[], None], dict[str, Any]]:
        match question["role"]:
            case "executor":
                return self._executor(question, fds)
            case "awake":
                return partial(stay_awake, question["core"]), {}
            case "pace":
                work, (fd,) = self._fixed_work, fds
                return lambda: keep_pace(question["core"], work, PaceMemory(fd)), {}
            case unknown:
                raise ValueError(f"unknown role {unknown!r}")

    @cached_property
    def _fixed_work(self) -> Floats:
        return fixed_work()

    def _executor(
        self, question: dict[str, Any], fds: Sequence[int]
    ) -> tuple[Callable[[], None], dict[str, Any]]:
        """An executor over a stream's descriptors."""
        programs: list[Program] = [self.have(spec)[0] for spec in question["specs"]]
        command_fd, gate_fd, memory_fd, *reply_fds = fds

        def run() -> None:
            os.nice(question["niceness"])
            memory = Memory(memory_fd)
            try:
                execute(programs, command_fd, reply_fds, gate_fd, memory)
            except BrokenPipeError:
                pass  # the stream was closed while a marker was on its way

        return run, {"programs": [len(program.commands) for program in programs]}


def serve(load: str, cores: Sequence[int], control: int) -> None:
    """The device process's main function."""
    die_with_parent()
    if cores:
        os.sched_setaffinity(0, cores)
    _Device(loader(load), socket.socket(fileno=control)).run()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
