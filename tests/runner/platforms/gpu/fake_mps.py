"""MPS without a GPU: a control daemon that answers, and the server that it starts.

What goes wrong is told by FAKE_MPS in its environment: "refuses" ends at once, "silent" never
answers, "stays" does not hear "quit"."""

import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.platforms.gpu.mps import DAEMON

PROGRAM = """#!{python}
import os, pathlib, signal, socket, subprocess, sys, time
control = str(pathlib.Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"]) / "control")
fault = os.environ.get("FAKE_MPS")
if sys.argv[1:] != ["-f"]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.connect(control)
        asked.sendall(sys.stdin.buffer.read())
    sys.exit(0)
if fault == "refuses":
    sys.exit("no permission for /dev/nvidia0")
logs = pathlib.Path(os.environ["CUDA_MPS_LOG_DIRECTORY"])
(logs / "control.log").write_text("Starting control daemon\\n")
(logs / "environment").write_text(repr(dict(os.environ)))
server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
if fault == "silent":
    time.sleep(600)
answering = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
answering.bind(control)
answering.listen()
while True:
    said = answering.accept()[0].recv(100)
    if said == b"quit\\n" and fault != "stays":
        server.kill()
        sys.exit(0)
"""


class FakeMps:
    """folder: where the program is installed, and a daemon of the machine's own would answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = folder / DAEMON
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)

    def runs(self) -> None:
        """Somebody has started one."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(self._folder / "control"))
        self._socket.listen()


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMps]:
    with tempfile.TemporaryDirectory(prefix="mps") as folder:  # a socket's path is short
        monkeypatch.setenv("PATH", folder, prepend=":")
        monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", folder)
        yield FakeMps(Path(folder))
