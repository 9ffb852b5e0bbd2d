"""NVIDIA's Multi-Process Service: it lets several processes' kernels run on a GPU at once, where
they would take turns otherwise. One daemon and one server for all processes that name its folder.
"""

import errno
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from runner.config.arms import Client
from runner.config.spec import TrialSpec
from runner.platforms.contract import PlatformError, last_words
from runner.platforms.start import fate
from xsched_bindings.host.processes import die_with_parent
from xsched_bindings.policies.base import UTILIZATION

DAEMON = "nvidia-cuda-mps-control"
SERVER = "nvidia-cuda-mps-server"
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
DEFAULT_PIPES = "/tmp/nvidia-mps"
#: What a client tells of itself: 0 for normal priority, 1 for less; percent of the multiprocessors.
PRIORITY, SHARE = "CUDA_MPS_CLIENT_PRIORITY", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
CLIENTS = (PRIORITY, SHARE)
#: A folder in which no daemon answers: for processes that must do without.
NOWHERE = "/nonexistent"
ANSWER_S = 10.0
END_S = 5.0


def answers(environment: Mapping[str, str]) -> bool:
    """Whether a daemon runs where processes with these variables look for one. Asking it through
    its own program would take seconds where there is none."""
    with socket.socket(socket.AF_UNIX) as control:
        try:
            control.connect(str(Path(environment.get(PIPES, DEFAULT_PIPES)) / "control"))
        except OSError as error:
            return error.errno == errno.EPROTOTYPE  # it speaks another kind of socket, so it lives
    return True


def told(trial: TrialSpec, index: int) -> dict[str, str]:
    """What the process of a task tells of it, in an arm in which it is a client."""
    task = trial.tasks[index]
    match trial.arm.client:
        case Client.plain:
            return {}
        case Client.priority:
            return {PRIORITY: str(int(task.priority < trial.priorities[0]))}
        case Client.share:
            return {SHARE: str(task.hint(UTILIZATION) or 100)}


def unavailable() -> str:
    """Why no daemon of our own can be had, "" if one can."""
    return "" if shutil.which(DAEMON) else f"{DAEMON} is not installed (it comes with the driver)"


class MpsDaemon:
    """A daemon of our own for one trial, with folders of its own: a client that ends abnormally can
    leave its server unusable, and the next trial must not meet that.

    environment: of a process on the GPU, without a shim: the server must not load it. log: a folder
    for the logs. Raises `PlatformError` if the daemon cannot be had."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="xsched-mps-"))  # a socket's path is short
        self._log = log
        log.mkdir(exist_ok=True)
        #: What clients need to find it.
        self.variables = {PIPES: str(self._folder), LOGS: str(log)}
        self._environment = {**environment, **self.variables}
        with (log / "daemon.log").open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    [DAEMON, "-f"],  # in the foreground, so that it and its server descend from us
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                shutil.rmtree(self._folder)
                raise PlatformError(f"{DAEMON} cannot be started: {error.strerror}") from error
        try:
            self._wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def _wait_for_answer(self) -> None:
        give_up = time.monotonic() + ANSWER_S
        while not answers(self._environment):
            if trouble := self.trouble():
                raise PlatformError(trouble)
            if time.monotonic() > give_up:
                raise PlatformError(f"{DAEMON} does not answer{self._last_words()}")
            time.sleep(0.02)

    def trouble(self) -> str:
        """How it died, with its last words, or ""."""
        code = self._process.poll()
        return "" if code is None else f"{DAEMON} {fate(code)}{self._last_words()}"

    def _last_words(self) -> str:
        return last_words(self._log / "control.log") or last_words(self._log / "daemon.log")

    def stop(self) -> None:
        """End it and its server. May be called twice."""
        if self._process.poll() is None:
            try:
                subprocess.run(
                    [DAEMON],
                    input=b"quit\n",
                    env=self._environment,
                    capture_output=True,
                    timeout=END_S,
                )
                self._process.wait(END_S)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()
        for process in self._others():
            process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _others(self) -> list[psutil.Process]:
        """What it has started and left: by its folder, for their parent may be dead."""
        found = psutil.process_iter(["environ"])
        return [p for p in found if (p.info["environ"] or {}).get(PIPES) == str(self._folder)]
