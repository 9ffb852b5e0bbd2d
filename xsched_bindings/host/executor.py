"""The executor: the process that stands for a hardware queue and runs its commands in order.

It is forked from the device process, so it finds the programs loaded. It talks to its stream
through pipes and one shared page only, because a process that holds a shared lock when SIGSTOP
arrives would block everybody else.

Wire format of the command pipe: native 32-bit integers. ``n >= 0`` runs command n of the
concatenated programs; ``n < 0`` is a marker that writes one byte to reply pipe ``-1 - n`` once
everything before it has completed (an event record; it is not a command and is not counted).

Every command leaves a *mark*: when it had completed, and which one it was. Marks, and what the
requests came to, are in rings: what is too old is overwritten.
"""

import mmap
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import count
from time import monotonic_ns

#: Words of the shared memory, 64 bit each, and their only writer.
COMPLETED = 0  # executor: commands completed since its start
RESULTS = 1  # executor: requests since its start whose result has been looked at
HOLD = 2  # stream: 1 asks the executor to begin no further command
WORDS = 3

#: Commands whose marks are kept, and requests whose results are.
MARKS, RESULTS_KEPT = 1 << 20, 1 << 17

READ_BYTES = 1 << 16


class Memory:
    """What an executor and its stream share: words, and rings of marks (CLOCK_MONOTONIC when a
    command had completed, and its number) and of results. Pages are used as they are written."""

    BYTES = mmap.PAGESIZE + 12 * MARKS + 8 * RESULTS_KEPT

    def __init__(self, fd: int) -> None:
        memory = memoryview(mmap.mmap(fd, self.BYTES))
        ends = [mmap.PAGESIZE + 8 * MARKS, mmap.PAGESIZE + 12 * MARKS]
        self.words = memory[: 8 * WORDS].cast("q")
        self.at_ns = memory[mmap.PAGESIZE : ends[0]].cast("q")
        self.codes = memory[ends[0] : ends[1]].cast("i")
        self.results = memory[ends[1] :].cast("d")


#: One operator of a program, its operands bound.
Command = Callable[[], object]


@dataclass(frozen=True)
class Program:
    """What a device runs for a request: commands in order, and the scope they need around them
    (torch's inference mode, say).

    take: puts the n-th request's input in place, before its first command. result: a number that
    tells what came out, asked after its last one. A program has both or neither."""

    commands: Sequence[Command]
    scope: type[AbstractContextManager[object]] | None = None
    take: Callable[[int], object] | None = None
    result: Callable[[], float] | None = None


def _commands(program: Program, memory: Memory) -> list[Command]:
    """The program's commands, with what its requests begin and end with."""
    take, result = program.take, program.result
    if take is None or result is None:
        return [*program.commands]
    numbers = count()
    first, *others = program.commands
    *inner, last = [lambda: (take(next(numbers)), first()), *others]

    def end() -> None:
        last()
        words = memory.words
        memory.results[words[RESULTS] % RESULTS_KEPT] = result()
        words[RESULTS] += 1

    return [*inner, end]


def execute(
    programs: Sequence[Program],
    command_fd: int,
    reply_fds: Sequence[int],
    gate_fd: int,
    memory: Memory,
) -> None:
    """Run commands until the command pipe is closed."""
    commands = [command for program in programs for command in _commands(program, memory)]
    words, at_ns, marked = memory.words, memory.at_ns, memory.codes
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
                at = completed % MARKS
                at_ns[at] = monotonic_ns()
                marked[at] = code
                completed += 1
                words[COMPLETED] = completed
