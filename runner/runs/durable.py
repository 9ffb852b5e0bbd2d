"""Files that are whole or not there, also after a crash, a kill and a full disk."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write the file under a name of this process, flush it to the disk, put it in its place."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file that somebody else wrote, or the names in a folder: until then a new name may be
    lost with the power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
