"""XSched's libraries without XSched: builds ``double.c`` and drives its streams."""

import shutil
import subprocess
import tempfile
from ctypes import CDLL, c_double, c_int32, c_int64, c_void_p
from functools import cache
from math import nan
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("double.c")

#: The files of an installed XSched with both GPU platforms, and what each is a link to here.
LINKS = {
    "libhalcuda.so": "libpreempt.so",
    "libhalhip.so": "libpreempt.so",
    "libshimcuda.so": "libpreempt.so",
    "libshimhip.so": "libpreempt.so",
    "libcuda.so.1": "libshimcuda.so",
}


def build(folder: Path, *flags: str) -> Path:
    """An installation of the double below `folder`; returns its ``lib``, as `library.find` does.

    flags: ``-D`` options of ``double.c``. Compiled once a session for the same flags.
    """
    library_folder = folder / "lib"
    library_folder.mkdir(parents=True)
    (library_folder / "libpreempt.so").write_bytes(_compiled(flags))
    for name, target in LINKS.items():
        (library_folder / name).symlink_to(target)
    return library_folder


@cache
def _compiled(flags: tuple[str, ...]) -> bytes:
    if shutil.which("gcc") is None:
        pytest.skip("the double of XSched's library needs gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "double.so"
        # -Bsymbolic: several variants live in one test process.
        options = "-std=gnu2x -O2 -Wall -Wextra -shared -fPIC -pthread -Wl,-Bsymbolic".split()
        subprocess.run(["gcc", *options, *flags, "-o", library, SOURCE], check=True)
        return library.read_bytes()


def load(library_folder: Path) -> CDLL:
    """The library, with the types of the double's own functions."""
    library = CDLL(str(library_folder / "libpreempt.so"))
    for create in ("Stream", "Ring"):
        getattr(library, f"Double{create}Create").restype = c_void_p
    library.DoubleStreamSubmit.argtypes = [
        c_void_p,
        c_int64,
        c_int64,
        c_void_p,
        c_int64,
        c_double,
    ]
    library.DoubleStreamCompleted.restype = c_int64
    for function in ("Completed", "Synchronize", "Destroy"):
        getattr(library, f"DoubleStream{function}").argtypes = [c_void_p]
    library.DoubleRecordEvent.argtypes = [c_void_p]
    library.DoubleRingCount.argtypes = [c_void_p]
    library.DoubleRingCount.restype = c_int64
    library.DoubleRingRead.argtypes = [c_void_p, c_int64, c_int64, c_void_p, c_void_p]
    library.DoubleScheduler.restype = c_int32
    return library


class DoubleRing:
    """Marks that commands leave when they complete: when (monotonic nanoseconds), and a value."""

    #: So many of the last ones are there: RING_SIZE of double.c.
    SIZE = 1 << 16

    def __init__(self, library_folder: Path) -> None:
        self._library = load(library_folder)
        self.pointer: int = self._library.DoubleRingCreate()

    @property
    def count(self) -> int:
        return int(self._library.DoubleRingCount(self.pointer))

    def since(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Those after the first `count` that are still there: times and values."""
        end = self.count
        begin = max(count, end - self.SIZE)
        ticks, values = np.empty(end - begin, np.int64), np.empty(end - begin)
        buffers = ticks.ctypes.data, values.ctypes.data
        self._library.DoubleRingRead(self.pointer, begin, end, *buffers)
        return ticks, values


class DoubleStream:
    """A stream of the double in `library_folder`; `pointer` is what a CUDA stream's would be."""

    def __init__(self, library_folder: Path) -> None:
        self._library = load(library_folder)
        self.pointer: int = self._library.DoubleStreamCreate()

    def submit(
        self,
        count: int,
        microseconds: int = 1000,
        ring: DoubleRing | None = None,
        every: int = 1,
        last: float = nan,
    ) -> None:
        """Submit `count` commands of that length, as the platform's stream would be given them.
        Every so many of them leave a mark in the ring, the last one with that value."""
        pointer = ring.pointer if ring else None
        self._library.DoubleStreamSubmit(self.pointer, count, microseconds, pointer, every, last)

    def record_event(self) -> None:
        """What an event record does: it goes through the queue and counts there, as in XSched."""
        self._library.DoubleRecordEvent(self.pointer)

    def completed(self) -> int:
        """Commands completed, events not included."""
        return int(self._library.DoubleStreamCompleted(self.pointer))

    def synchronize(self) -> None:
        self._library.DoubleStreamSynchronize(self.pointer)

    def close(self) -> None:
        """Run what is left and end the stream. Close its queue first."""
        self._library.DoubleStreamDestroy(self.pointer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def scheduler(library_folder: Path) -> int:
    """The ``XSchedulerType`` that the double has in the end."""
    return int(load(library_folder).DoubleScheduler())


def misbehave(library_folder: Path, name: str) -> None:
    """From now on the library plays that adversary of ``double.c``, in place of any before it."""
    if not load(library_folder).DoubleMisbehave(name.encode()):
        raise ValueError(f"the double knows no adversary {name!r}")
