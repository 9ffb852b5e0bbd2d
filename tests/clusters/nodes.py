"""Daemons of a cluster, each with a host name and a machine id as on a machine of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

NODES = ("n1", "n2")
START_S = 150.0
#: Needs root, or a namespace in which one is.
ALONE = ("setpriv", "--pdeathsig", "KILL")
OWN_NAMES = ("unshare", "--uts", "--mount", "sh", "-c")
AS_NODE = 'hostname "$0" && mount --bind "$1" /etc/machine-id && shift && exec "$@"'


class Absent(Exception):
    """The cluster cannot be had here, and why."""


def need(programs: Sequence[str], modules: Sequence[str]) -> None:
    """Raises `Absent`. The folder of this Python's programs is looked at, too."""
    lacking = [each for each in programs if not shutil.which(each, path=search_path())]
    lacking += [each for each in modules if find_spec(each) is None]
    if lacking:
        raise Absent(f"not installed: {', '.join(lacking)}")
    if os.geteuid() != 0:
        raise Absent("two nodes on one machine need root")


def search_path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"


def free_ports(count: int) -> list[int]:
    """Of those that no system hands out by itself. They may be taken a moment later."""
    found: list[int] = []
    for port in range(6400 + os.getpid() % 1000, 10_000):
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise Absent("no port is free")


def wait_for(what: Callable[[], object], within_s: float, told: str) -> None:
    """Raises TimeoutError (told)."""
    until = time.monotonic() + within_s
    while not what():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {within_s:.0f} s: {told}")
        time.sleep(0.1)


class Cluster:
    """Its daemons and the folder with their files. Everything ends with `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "PATH": search_path(),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.environment.pop("MLFLOW_TRACKING_URI", None)

    def daemon(self, name: str, command: Sequence[str], node: str = "") -> None:
        """Start one, on a node if it is named; it ends with this process."""
        if node:
            identity = self.folder / f"{node}.machine-id"
            if not identity.exists():
                identity.write_text(f"{uuid.uuid4().hex}\n")
            command = [*OWN_NAMES, AS_NODE, node, str(identity), *command]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [*ALONE, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """As a crash would."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def end(self, name: str, within_s: float = 10) -> None:
        daemon = self.daemons.pop(name)
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(within_s)
        with suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()

    def ask(self, *command: str, within_s: float = 30) -> str:
        """What a command of the cluster's says. Raises CalledProcessError."""
        return subprocess.run(
            command,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=within_s,
        ).stdout

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        for name in reversed([*self.daemons]):
            self.end(name)

    def said(self) -> str:
        """The last words of every daemon."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-500:]}" for log in logs)

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Raises `Absent` where it cannot be had."""
        # Of the shortest names: a socket's has 107 characters.
        folder = Path(tempfile.mkdtemp(prefix="xc-", dir="/tmp"))
        folder.chmod(0o755)
        cluster = cls(folder)
        try:
            try:
                cluster.start()
            except (OSError, subprocess.SubprocessError) as error:
                raise Absent(f"does not start: {error}\n{cluster.said()}") from error
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)


def processes(words: str) -> list[int]:
    """Of this machine, by words of their command lines."""
    done = subprocess.run(["pgrep", "-f", "--", words], capture_output=True, text=True)
    return [*map(int, done.stdout.split())]


def environment_of(pid: int) -> Mapping[str, str]:
    """Of a process that is there."""
    read = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    return dict(each.partition("=")[::2] for each in read.split("\0") if "=" in each)
