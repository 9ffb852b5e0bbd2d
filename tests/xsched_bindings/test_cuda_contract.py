"""The contract over XSched itself, where there is an NVIDIA GPU and an installation, and pytest was
started with the shim in place: ``LD_LIBRARY_PATH=$XSCHED_HOME/lib pytest <this file>``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.xsched_bindings.contract import ControlPlaneContract, MakeBusy
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.library import find
from xsched_bindings.types import PreemptLevel

COMMANDS = 120


def installation() -> Path | None:
    try:
        return find()
    except LibraryNotFound:
        return None


pytestmark = pytest.mark.skipif(
    not Path("/dev/nvidiactl").exists() or installation() is None,
    reason="needs an NVIDIA GPU and XSched (XSCHED_HOME)",
)


class BusyStream:
    def __init__(self, stream: Any, queue: Any) -> None:
        self.stream, self.queue = stream, queue

    def submit(self) -> int:
        self.stream.submit_probe(COMMANDS)
        return COMMANDS

    def completed(self) -> int:
        return int(self.stream.probe.count)

    def synchronize(self) -> None:
        self.stream.synchronize()


class TestCuda(ControlPlaneContract):
    @pytest.fixture(scope="class")
    def device(self) -> Any:
        from runner.platforms.gpu.torch_device import TorchDevice

        return TorchDevice("cuda")

    @pytest.fixture(scope="class")
    def library(self, device: Any) -> Any:
        return device.library(str(installation()))

    @pytest.fixture
    def plane(self, library: Any) -> Any:
        return library

    @pytest.fixture
    def make(self, device: Any, library: Any) -> Iterator[MakeBusy]:
        made: list[BusyStream] = []

        def make(level: PreemptLevel) -> BusyStream:
            stream = device.open_stream(None, default=False)
            made.append(BusyStream(stream, library.create_queue(stream.pointer, level)))
            return made[-1]

        yield make
        for busy in made:
            busy.queue.close()
