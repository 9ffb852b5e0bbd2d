"""The user's own configuration files that a sweep was made of, kept in its folder: what they say is
in each run's config.yaml, but how it is said, and why, is in them alone."""

from itertools import count
from pathlib import Path

from runner.config.files import FileConfigSource
from runner.runs import durable, files


def keep(folder: Path) -> None:
    """Write the files that have been read, as they were read. A file that has been changed since
    goes with its sweep's others to a folder of its own, ``conf-2`` and so on. Raises OSError."""
    used = FileConfigSource.used
    for number in count(1):
        place = folder / (files.SOURCES if number == 1 else f"{files.SOURCES}-{number}")
        there = {name for name in used if (place / name).exists()}
        if all((place / name).read_bytes() == used[name] for name in there):
            break
    for name in used.keys() - there:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        durable.write(place / name, used[name])
