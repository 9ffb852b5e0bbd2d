"""A command in a process that is forked from this one: all of a process of its own but the imports,
which take it a second or more. What is about the start of an interpreter has to start one."""

import faulthandler
import gc
import importlib
import io
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

# What the command imports, once for all. Pyarrow imports pandas with the first array.
import hydra  # noqa: F401
import numpy as np
import psutil
import pyarrow as pa
import scipy.special  # noqa: F401

import runner.results.drawings.run
import runner.results.drawings.timelines  # noqa: F401
from runner.platforms.start import Start

pa.array(np.zeros(1))


def fork(arguments: list[str], command: Callable[[], object], outputs: tuple[Path, Path]) -> int:
    """Call the command with these arguments (the first is its name) in a new process, whose id is
    returned. outputs: take its stdout and its stderr; they may be the same."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    gc.freeze()  # all that is here stays: looks through it for cycles take a quarter of the time
    try:
        opened = {path: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for path in outputs}
        for number, path in enumerate(outputs, 1):
            os.dup2(opened[path], number)
        faulthandler.disable()  # it would write to a descriptor that is somebody else's then
        _close_all_but({0, 1, 2})  # what tests before have left open is no part of the command
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
        sys.argv = arguments
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run(
    command: Callable[[], object],
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float = 120,
) -> "subprocess.CompletedProcess[str]":
    """As `subprocess.run`: the command in this folder and environment, until it has ended."""

    def prepared() -> None:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        command()

    given = ["runner", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as said:
        outputs = Path(said, "stdout"), Path(said, "stderr")
        pid = fork(given, prepared, outputs)
        code = _wait(pid, timeout)
        out, err = (path.read_text() if path.exists() else "" for path in outputs)
    if code is None:
        raise subprocess.TimeoutExpired(given, timeout, out, err)
    return subprocess.CompletedProcess(given, code, out, err)


def _wait(pid: int, timeout: float) -> int | None:
    """Its exit code, below zero the signal that killed it; None if it had to be."""
    ended = select.poll()
    descriptor = os.pidfd_open(pid)
    ended.register(descriptor, select.POLLIN)
    in_time = False
    try:
        in_time = bool(ended.poll(timeout * 1000))
    finally:  # it does not outlive the test
        os.close(descriptor)
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


class Child:
    """A process of a trial, as `runner.platforms.start.Process` has it."""

    def __init__(self, pid: int) -> None:
        self.pid, self._process = pid, psutil.Process(pid)

    def wait(self, timeout: float | None = None) -> int:
        try:
            code = self._process.wait(timeout)
        except psutil.TimeoutExpired as late:
            raise subprocess.TimeoutExpired("a forked child", late.seconds) from None
        assert code is not None
        return int(code)

    def kill(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self._process.kill()


def child(start: Start) -> Child:
    """In place of `runner.platforms.start.afresh`, for trials by the dozen: all that a process of
    its own has, but what it imports is there already."""
    pid = os.fork()
    if pid:
        return Child(pid)
    try:
        gc.freeze()
        os.setsid()
        faulthandler.disable()  # it would write to a descriptor that is somebody else's then
        nothing = os.open(os.devnull, os.O_RDWR)
        for number, descriptor in enumerate((nothing, nothing, start.stderr.fileno())):
            os.dup2(descriptor, number)
        _close_all_but({0, 1, 2, *start.fds})
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(start.environment)
        importlib.import_module(start.module).main(str(start.connection))
    except BaseException:
        traceback.print_exc()
    finally:  # a trial's process ends itself
        os._exit(1)


def _close_all_but(kept: Collection[int]) -> None:
    for path in list(Path("/proc/self/fd").iterdir()):
        if int(path.name) not in kept:
            with suppress(OSError):  # that of the list itself
                os.close(int(path.name))
