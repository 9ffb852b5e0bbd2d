"""XSched's libraries without XSched: builds ``double.c`` and drives its streams."""

import shutil
import subprocess
import tempfile
from ctypes import CDLL, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Self

import pytest

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


class DoubleStream:
    """A stream of the double in `library_folder`; `pointer` is what a CUDA stream's would be."""

    def __init__(self, library_folder: Path) -> None:
        self._library = library = CDLL(str(library_folder / "libpreempt.so"))
        library.DoubleStreamCreate.restype = c_void_p
        library.DoubleStreamSubmit.argtypes = [c_void_p, c_int64, c_int64]
        library.DoubleStreamCompleted.restype = c_int64
        for function in ("Completed", "Synchronize", "Destroy"):
            getattr(library, f"DoubleStream{function}").argtypes = [c_void_p]
        library.DoubleRecordEvent.argtypes = [c_void_p]
        self.pointer: int = library.DoubleStreamCreate()

    def submit(self, count: int, microseconds: int = 1000) -> None:
        """Submit `count` commands of that length, as the platform's stream would be given them."""
        self._library.DoubleStreamSubmit(self.pointer, count, microseconds)

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
    library = CDLL(str(library_folder / "libpreempt.so"))
    library.DoubleScheduler.restype = c_int32
    return int(library.DoubleScheduler())
