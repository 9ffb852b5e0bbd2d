"""Files that are whole or not there, also after a crash, a kill and a full disk."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write the file under another name, flush it to the disk, and put it in its place."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Flush what is in the folder: until then a new name may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
