"""The contract over XSched's HIP library, in a process with shim and companion preloaded and the
fake HIP runtime behind them; `test_companion` starts it."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, addressof, byref, c_int64, c_size_t, c_void_p
from pathlib import Path

import pytest

from tests.xsched_bindings.contract import ControlPlaneContract, MakeBusy
from xsched_bindings import companion
from xsched_bindings.hip import HipXSched
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PreemptLevel

COMMANDS = 40

pytestmark = pytest.mark.skipif(
    companion.calls() is None, reason="is started by test_companion, with the companion preloaded"
)


class FakeStream:
    """A stream of the fake runtime, and a kernel that counts its launches."""

    def __init__(self, hip: CDLL, function: c_void_p) -> None:
        self._hip, self._function = hip, function
        self.handle, self.count = c_void_p(), c_int64()
        assert hip.hipStreamCreateWithFlags(byref(self.handle), 1) == 0

    def launch(self) -> None:
        argument, size = c_void_p(addressof(self.count)), c_size_t(8)
        extra = (c_void_p * 5)(1, addressof(argument), 2, addressof(size), 3)
        shape = 1, 1, 1, 1, 1, 1, 0
        result = self._hip.hipModuleLaunchKernel(self._function, *shape, self.handle, None, extra)
        assert result == 0


class HipBusy:
    def __init__(self, hip: CDLL, stream: FakeStream, queue: LibraryQueue) -> None:
        self._hip, self._stream, self.queue = hip, stream, queue

    def submit(self) -> int:
        for _ in range(COMMANDS):
            self._stream.launch()
        return COMMANDS

    def completed(self) -> int:
        return self._stream.count.value

    def synchronize(self) -> None:
        assert self._hip.hipStreamSynchronize(self._stream.handle) == 0


class TestHip(ControlPlaneContract):
    @pytest.fixture(scope="class")
    def hip(self) -> CDLL:
        return CDLL(os.environ["XSCHED_HIP_LIB"])

    @pytest.fixture(scope="class")
    def plane(self) -> HipXSched:
        return HipXSched(Path(os.environ["LD_LIBRARY_PATH"].split(os.pathsep)[0]))

    @pytest.fixture
    def make(self, hip: CDLL, plane: HipXSched) -> Iterator[MakeBusy]:
        module, function = c_void_p(), c_void_p()
        assert hip.hipModuleLoadData(byref(module), b"") == 0
        assert hip.hipModuleGetFunction(byref(function), module, b"count") == 0
        made: list[HipBusy] = []

        def make(level: PreemptLevel) -> HipBusy:
            stream = FakeStream(hip, function)
            queue = plane.create_queue(stream.handle.value or 0, level)
            made.append(HipBusy(hip, stream, queue))
            return made[-1]

        yield make
        for busy in made:
            busy.queue.close()

    def test_threads_lose_nothing_while_queues_stop_and_go(self, make: MakeBusy) -> None:
        tasks = [make(PreemptLevel.block) for _ in range(4)]
        with ThreadPoolExecutor(len(tasks)) as pool:
            submitted = [pool.submit(busy.submit) for busy in tasks]
            for turn in range(20):
                queue = tasks[turn % len(tasks)].queue
                queue.suspend()
                time.sleep(0.001)
                queue.resume()
        for busy, done in zip(tasks, submitted, strict=True):
            busy.synchronize()
            assert busy.completed() == done.result()
