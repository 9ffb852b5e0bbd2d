"""Exported sweeps, unpacked for as long as a test looks at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.runs import archive


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    folder, held = archive.unpack(path)
    with held:
        yield folder
