"""The executor: the process that stands for a hardware queue and runs its commands in order.

It is forked from the device process, so it finds the programs loaded. It talks to its stream
through pipes and one shared page only, because a process that holds a shared lock when SIGSTOP
arrives would block everybody else.

Wire format of the command pipe: native 32-bit integers. ``n >= 0`` runs command n of the
concatenated programs; ``n < 0`` is a marker that writes one byte to reply pipe ``-1 - n`` once
everything before it has completed (an event record; it is not a command and is not counted).
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from time import monotonic_ns

#: Words of the shared page, 64 bit each, and their only writer.
COMPLETED = 0  # executor: commands completed since its start
LAST_COMPLETED_NS = 1  # executor: when the last of them completed, CLOCK_MONOTONIC
HOLD = 2  # stream: 1 asks the executor to begin no further command
WORDS = 3

READ_BYTES = 1 << 16


#: One operator of a program, its operands bound.
Command = Callable[[], object]


@dataclass(frozen=True)
class Program:
    """What a device runs for a request: commands in order, and the scope they need around them
    (torch's inference mode, say)."""

    commands: Sequence[Command]
    scope: type[AbstractContextManager[object]] | None = None


def execute(
    programs: Sequence[Program],
    command_fd: int,
    reply_fds: Sequence[int],
    gate_fd: int,
    words: memoryview,
) -> None:
    """Run commands until the command pipe is closed."""
    commands = [command for program in programs for command in program.commands]
    completed = 0
    with ExitStack() as scopes:
        for scope in {program.scope for program in programs if program.scope is not None}:
            scopes.enter_context(scope())
        while codes := os.read(command_fd, READ_BYTES):
            for code in memoryview(codes).cast("i"):
                if code < 0:
                    os.write(reply_fds[-1 - code], b"\0")
                    continue
                while words[HOLD]:
                    # A resume between the two checks leaves the gate open, so this cannot sleep
                    # through it; an old resume only makes it look once more.
                    os.read(gate_fd, 8)  # unlike eventfd_read, goes on after SIGCONT
                commands[code]()
                completed += 1
                words[LAST_COMPLETED_NS] = monotonic_ns()
                words[COMPLETED] = completed
