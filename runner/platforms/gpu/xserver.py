"""XSched's server, which schedules the queues of several processes (``service/server``).

It and its clients talk through channels whose names are the same for the whole machine, so there
can be only one at a time; a client without a server ends while the library loads.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from runner.platforms.contract import PlatformError, last_words
from runner.platforms.start import fate
from xsched_bindings.host.processes import die_with_parent
from xsched_bindings.types import PolicyType

NAME = "xserver"
LOG = "xserver.log"
ANSWER_S = 10.0
END_S = 5.0
SHARED_MEMORY = Path("/dev/shm")
#: What a runner that was killed leaves for the next one to clear.
RECORD = Path(tempfile.gettempdir()) / f"xsched-runner-server-{os.getuid()}.json"


def binary(library_folder: Path) -> Path:
    """Where XSched installs it, beside its libraries."""
    return library_folder.parent / "bin" / NAME


def ask(address: str, path: str, timeout_s: float = 2.0) -> Any:
    """The answer of the server at host:port, from JSON. Raises OSError if there is none."""
    # urllib would read all certificates of the machine before it asks.
    with closing(http.client.HTTPConnection(address, timeout=timeout_s)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{error!r} from {address}{path}") from error
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{answer.status} {answer.reason} from {address}{path}")
        return json.loads(content)


def queues(address: str) -> list[dict[str, Any]]:
    """The server's own view of its queues: pid, handle, device, level, threshold, batch_size, ready
    and suspended of each (``service/common/src/convert.cpp``)."""
    found: list[dict[str, Any]] = ask(address, "/xqueues")["xqueues"] or []
    return found


def check_policy(address: str, policy: str) -> None:
    """Raise `PlatformError` unless the server at `address` answers and has that policy."""
    try:
        found = PolicyType(ask(address, "/policy")["policy"])
    except (OSError, ValueError, KeyError) as error:
        raise PlatformError(f"the xserver at {address} does not answer: {error}") from error
    if found is not PolicyType[policy]:
        raise PlatformError(
            f"the xserver at {address} has policy {found.name}, and {policy} was asked for"
        )


class XServer:
    """A server of our own for one trial, on a free port of this machine; its output goes to
    xserver.log in `folder`. Raises `PlatformError` if it cannot be had."""

    def __init__(self, binary: Path, policy: str, folder: Path) -> None:
        clear_stale()
        if other := next(iter(running()), None):
            raise PlatformError(
                f"another {NAME} runs on this machine (process {other}), and there can be only "
                "one: end it, or give its address as platform.server"
            )
        self._log = folder / LOG
        self._shared: set[str] = set()
        port = _free_port()
        self.address = f"127.0.0.1:{port}"
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    [binary, policy.upper(), str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | {"XLOG_LEVEL": "INFO"},
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                raise PlatformError(f"{binary} cannot be started: {error.strerror}") from error
        try:
            self._wait_for_answer(policy)
        except BaseException:
            self.stop()
            raise

    def _wait_for_answer(self, policy: str) -> None:
        give_up = time.monotonic() + ANSWER_S
        while True:
            if trouble := self.trouble():
                raise PlatformError(trouble)
            try:
                check_policy(self.address, policy)
                return
            except PlatformError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)

    def trouble(self) -> str:
        """How it died, with its last words, or ""."""
        code = self._process.poll()
        if code is None:
            return ""
        return f"the xserver {fate(code)}{last_words(self._log)}"

    def note_shared_memory(self, clients: Iterable[int]) -> None:
        """Remember what shared memory the server and its clients use, so that what they leave can
        be cleared, by us or by the next runner, and nothing of anybody else's."""
        for pid in (self._process.pid, *clients):
            self._shared |= shared_memory_of(pid)
        record = {"runner": os.getpid(), "began": began(os.getpid()), "shared": [*self._shared]}
        RECORD.write_text(json.dumps(record))

    def stop(self) -> None:
        """End it and clear what it left behind. May be called twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _unlink(self._shared)
        RECORD.unlink(missing_ok=True)


def clear_stale() -> None:
    """Remove the shared memory that a killed runner of ours noted and left."""
    with suppress(OSError, ValueError, LookupError, TypeError):  # then it is none of ours
        if RECORD.stat().st_uid != os.getuid():
            return
        record = json.loads(RECORD.read_text())
        if began(record["runner"]) != record["began"]:  # else that runner is alive
            _unlink(path for path in record["shared"] if Path(path).parent == SHARED_MEMORY)
            RECORD.unlink(missing_ok=True)


def _unlink(paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):
            Path(path).unlink()


def began(pid: int) -> float | None:
    """When that process began, which tells it from a later one of the same number."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def running() -> list[int]:
    """Process ids of servers on this machine, whoever's they are."""
    found = psutil.process_iter(["name", "status"])
    return [
        each.pid
        for each in found
        if each.info["name"] == NAME and each.info["status"] != psutil.STATUS_ZOMBIE
    ]


def shared_memory_of(pid: int, folder: Path = SHARED_MEMORY) -> set[str]:
    """Files of that folder that the process has mapped, as far as it shows them to us."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    paths = (line.split(maxsplit=5)[-1] for line in lines)
    return {path for path in paths if path.startswith(f"{folder}/") and "deleted" not in path}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
