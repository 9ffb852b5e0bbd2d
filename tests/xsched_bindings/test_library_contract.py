"""The contract over the C library's bindings, with the double in XSched's place."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.xsched_bindings.contract import ControlPlaneContract, MakeBusy
from tests.xsched_bindings.double import DoubleStream, build
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PreemptLevel


@pytest.fixture(scope="module")
def library_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


@dataclass
class DoubleBusy:
    queue: LibraryQueue
    stream: DoubleStream

    def submit(self) -> int:
        self.stream.submit(40)
        return 40

    def completed(self) -> int:
        return self.stream.completed()

    def synchronize(self) -> None:
        self.stream.synchronize()


class LibraryContract(ControlPlaneContract):
    @pytest.fixture
    def make(self, plane: CudaXSched | HipXSched, library_folder: Path) -> Iterator[MakeBusy]:
        made: list[DoubleBusy] = []

        def make(level: PreemptLevel) -> DoubleBusy:
            stream = DoubleStream(library_folder)
            made.append(DoubleBusy(plane.create_queue(stream.pointer, level), stream))
            return made[-1]

        yield make
        for busy in made:
            busy.queue.close()
            busy.stream.close()


class TestCuda(LibraryContract):
    @pytest.fixture
    def plane(self, library_folder: Path) -> CudaXSched:
        return CudaXSched(library_folder)


class TestHip(LibraryContract):
    @pytest.fixture
    def plane(self, library_folder: Path) -> HipXSched:
        return HipXSched(library_folder)
