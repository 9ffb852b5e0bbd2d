"""What marks cost on host: an executor that makes them against one that does not, over commands
that do nothing, and over one and six real models in blocks that alternate. Two equal devices differ
by a percent, too (1.012 [1.000, 1.024] of 60 pairs, both with marks), so these tell no less."""

import math
import os
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import host
from benchmarks.report import Figure, at_least, at_most
from models import ModelSpec
from runner.metrics.intervals import mean
from runner.platforms.host import programs
from runner.platforms.kinds.host import LOADER, HostPlatform
from xsched_bindings.host import Device, HostStream, executor
from xsched_bindings.host.executor import COMPLETED as DONE
from xsched_bindings.host.executor import HOLD, Memory, Program
from xsched_bindings.types import PreemptLevel

TITLE = "Marks on host"
COMMANDS, ROUNDS = 500_000, 7
MODEL = ModelSpec("bert_mini", size=128)
#: Short, for the machine's speed drifts.
BLOCK_S, PAIRS = 0.3, 80
#: Of a block, that is left out at its begin.
SETTLE = 0.2


def run() -> list[Figure]:
    with_marks = min(_seconds(executor.execute) for _ in range(ROUNDS))
    without = min(_seconds(execute) for _ in range(ROUNDS))
    cost_us = (with_marks - without) / COMMANDS * 1e6
    figures = [at_most(f"an executor's cost of a mark (best of {ROUNDS})", cost_us, 0.3, " µs")]
    cores = os.sched_getaffinity(0)
    for tasks in (1, 6):
        ratios = alternate(*_blocks(tasks))
        figures.append(ratio(f"bert_mini under XSched 8/4, throughput of {tasks}", ratios))
    os.sched_setaffinity(0, cores)
    return figures


def ratio(what: str, ratios: Sequence[float]) -> Figure:
    """The lower end of the 95 % interval of marks ÷ none, from pairs of neighbouring blocks."""
    logs = mean([math.log(each) for each in ratios])
    assert logs.interval is not None
    low, middle, high = map(math.exp, (logs.interval.low, logs.value, logs.interval.high))
    shown = (
        f"{what}, with marks ÷ without: {middle:.4f} [{low:.4f}, {high:.4f}], {len(ratios)} pairs"
    )
    return at_least(f"{shown}; its lower end", low, 0.99)


def alternate(
    start: Callable[[bool | None], None],
    completed: Callable[[], float],
    block_s: float = BLOCK_S,
    pairs: int = PAIRS,
) -> list[float]:
    """Throughput with marks by that without, of neighbouring blocks in the order ABBA. start: has
    requests from now on made with marks, without, or (None) not at all; completed: requests until
    now."""

    def rate(marks: bool) -> float:
        start(marks)
        time.sleep(SETTLE * block_s)
        before, began = completed(), time.perf_counter()
        time.sleep((1 - SETTLE) * block_s)
        return (completed() - before) / (time.perf_counter() - began)

    ratios = []
    for pair in range(pairs):
        order = (True, False) if pair % 2 else (False, True)
        rates = {marks: rate(marks) for marks in order}
        ratios.append(rates[True] / rates[False])
    start(None)
    return ratios


# --- commands that do nothing --------------------------------------------------------------------


def _seconds(run: Callable[..., None]) -> float:
    """CPU seconds of an executor for so many commands."""
    command_read, command_write = os.pipe()
    memory, gate = os.memfd_create("benchmark"), os.eventfd(0)
    os.ftruncate(memory, Memory.BYTES)
    codes = array("i", [0]) * 16_384

    def feed() -> None:
        for _ in range(COMMANDS // len(codes)):
            os.write(command_write, codes.tobytes())
        os.close(command_write)

    feeder = threading.Thread(target=feed)
    feeder.start()
    began = time.thread_time()
    run([Program([_nothing])], command_read, [], gate, Memory(memory))
    took = time.thread_time() - began
    feeder.join()
    for fd in (command_read, memory, gate):
        os.close(fd)
    return took


def _nothing() -> None: ...


def execute(
    programs: Sequence[Program],
    command_fd: int,
    reply_fds: Sequence[int],
    gate_fd: int,
    memory: Memory,
) -> None:
    """`runner`'s executor without marks: it counts, and looks at no result."""
    commands = [command for program in programs for command in program.commands]
    words, completed = memory.words, 0
    scopes = [program.scope() for program in programs if program.scope]
    for scope in scopes:
        scope.__enter__()
    while codes := os.read(command_fd, executor.READ_BYTES):
        for code in memoryview(codes).cast("i"):
            if code < 0:
                os.write(reply_fds[-1 - code], b"\0")
                continue
            while words[HOLD]:
                os.read(gate_fd, 8)
            commands[code]()
            completed += 1
            words[DONE] = completed


# --- real models ---------------------------------------------------------------------------------


def load_plain(spec: Mapping[str, Any]) -> Program:
    """A loader for a device whose executors make no marks."""
    import sys

    sys.modules["__main__"].execute = execute  # type: ignore[attr-defined]  # the device's
    return programs.load(spec)


#: Devices and sessions that are to live on.
_held: list[object] = []


def _blocks(tasks: int) -> tuple[Callable[[bool | None], None], Callable[[], float]]:
    """Closed loops on two devices, of which one works at a time."""
    platform = HostPlatform(device_cores=1)
    os.sched_setaffinity(0, platform.other_cores)
    on = {True: threading.Event(), False: threading.Event()}
    streams: list[HostStream] = []
    for marks, loader in ((True, LOADER), (False, f"{__name__}:load_plain")):
        process = Device(loader, platform.device_cores)
        device = process.connect()
        _held.extend((process, device))
        device.load(MODEL.as_dict())
        for _ in range(tasks):
            stream = host.stream(device, MODEL)
            host.queue(stream, PreemptLevel.block, 8, 4)
            host.request(stream)
            streams.append(stream)
            threading.Thread(target=_loop, args=(stream, on[marks]), daemon=True).start()

    def completed() -> float:
        """Commands are finer than requests."""
        return float(sum(stream.completed for stream in streams))

    return starter(on), completed


def starter(on: Mapping[bool, threading.Event]) -> Callable[[bool | None], None]:
    """What starts those that wait for an event, and has the others wait."""

    def start(marks: bool | None) -> None:
        for with_marks, event in on.items():
            if with_marks is marks:
                event.set()
            else:
                event.clear()

    return start


def _loop(stream: HostStream, on: threading.Event) -> None:
    while True:
        on.wait()
        host.request(stream)
