"""Warm parents, seen from the runner: what a trial's processes are forked from, so that each starts
in milliseconds instead of importing PyTorch and building models anew."""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path

import psutil

from models import ModelSpec
from runner.platforms.start import Process, Start, fate
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.warm import FDS_PER_MESSAGE, WarmProcess, WarmSession

LOADER = "runner.platforms.gpu.warm_server:build_model"
LOG = "warm-parent.log"
#: Variables that are read after the fork: by the driver when CUDA starts, by XSched's library when
#: it makes a queue. All others are the loader's, or may be read while libraries load.
LATER = ("CUDA_VISIBLE_DEVICES", "CUDA_MPS_", "XSCHED_CUDA_LV3_IMPL")
#: A warm parent does nothing between two trials, so one that has grown by more than this leaks.
GROWTH_BYTES = 256 << 20


def loader_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables that must be there when a process starts."""
    return {name: value for name, value in environment.items() if not name.startswith(LATER)}


class WarmParent(WarmProcess):
    """A warm parent under these variables. folder: for its log. loader: ``"module:function"``, what
    makes a model of its specification there."""

    name = "the warm parent"

    def __init__(self, environment: Mapping[str, str], folder: Path, loader: str = LOADER) -> None:
        self.environment = loader_environment(environment)
        with (folder / LOG).open("ab") as stderr:
            module = "runner.platforms.gpu.warm_server"
            super().__init__(module, {"load": loader}, self.environment, stderr)
        self._models: set[ModelSpec] = set()
        self._bytes = 0

    def serves(self, environment: Mapping[str, str], models: set[ModelSpec]) -> bool:
        """Whether it can go on: alive, of that environment, not grown, and not in the way of models
        that it does not have yet."""
        if not self.alive or self.environment != loader_environment(environment):
            return False
        size = self._size()
        room = models <= self._models or psutil.virtual_memory().available > size
        return room and size - self._bytes <= GROWTH_BYTES

    def open_trial(self, models: set[ModelSpec], say: Callable[[str], None]) -> "WarmTrial":
        """A session for one trial, once it has these models. Raises `DeviceLost` if it dies,
        RuntimeError with its words if it fails or is not fit to be forked."""
        trial = WarmTrial(self)
        try:
            for model in sorted(models, key=repr):
                if model not in self._models:
                    say(f"loading {model.name}")
                trial.ask({"do": "load", "spec": model.as_dict()})
        except BaseException:
            trial.close()
            raise
        if not models <= self._models:
            self._models |= models
            self._bytes = self._size()
        return trial

    def _size(self) -> int:
        size: int = psutil.Process(self.process.pid).memory_info().rss
        return size


class WarmTrial(WarmSession):
    """One trial's session: its processes end with it."""

    name = WarmParent.name

    def __init__(self, parent: WarmParent) -> None:
        super().__init__(parent.open_session(), parent.process.pid)
        self._parent = parent

    def trouble(self) -> str:
        """That the warm parent has died, and with it all processes of the trial, or ""."""
        code = self._parent.process.poll()
        return "" if code is None else f"{self.name} {fate(code)}"

    def fork(self, start: Start) -> Process:
        """Raises OSError if the process cannot be had."""
        fds = [*start.fds, start.stderr.fileno()]
        if len(fds) > FDS_PER_MESSAGE:
            raise OSError(f"{len(fds)} descriptors, and {FDS_PER_MESSAGE} can be passed on")
        question = {
            "do": "fork",
            "module": start.module,
            "argument": str(start.connection),
            "numbers": [*start.fds, 2],
            "environment": dict(start.environment),
        }
        try:
            return Forked(self, self.ask(question, fds)["pid"])
        except RuntimeError as error:
            raise OSError(str(error)) from error


class Forked:
    """A process of a trial that a warm parent has forked, as if it were a child of this one."""

    def __init__(self, trial: WarmTrial, pid: int) -> None:
        self.pid = pid
        self._trial = trial
        # Its parent does not bury it before it is asked, so this is that process and no other.
        self._ended = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> int:
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        if not poll.poll(None if timeout is None else ceil(timeout * 1e3)):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        try:
            code = self._trial.exit_code(self.pid)
        except DeviceLost:
            code = None
        return -signal.SIGKILL if code is None else code  # with the warm parent, and by its death

    def kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._ended, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended

    def __del__(self) -> None:
        os.close(self._ended)
