"""Arrivals at the times in a file."""

import math
import stat
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from runner.config.arrivals.base import LONGEST_NS, Random, process
from runner.config.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Of a file.
MOST_BYTES = 10**8
Times: TypeAlias = "NDArray[np.int64]"


@process(
    "at the times in a file; when it ends, so does the task",
    no_rate="a trace has the rate of its timestamps",
)
def trace(mean_gap_ns: float, random: Random, trace: bytes) -> Iterator[int]:
    return replay(trace)


def replay(trace: bytes) -> Iterator[int]:
    """The arrivals of a trace, and then one that never comes: the task is done."""
    return chain(times_ns(trace).tolist(), repeat(LONGEST_NS))


def times_ns(trace: bytes) -> Times:
    """The arrival times of a trace, nanoseconds after the common start."""
    import numpy as np

    return np.frombuffer(trace, np.int64)


def window_ns(trace: bytes, lead_in_s: float) -> Times:
    """The arrival times of what counts, nanoseconds after the lead-in."""
    times = times_ns(trace) - round(lead_in_s * 1e9)
    return times[times >= 0]


def read_trace(path: str, key: str) -> bytes:
    """The arrival times of a trace file as int64 nanoseconds after the common start.

    One timestamp in seconds a line, ascending, from 0; empty lines and lines that start with # are
    skipped. Anything else raises `UserError` with `key` and the number of the line."""
    import numpy as np

    times, before = [], 0.0
    for number, line in enumerate(_lines(path, key), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            problem = f"line {number} is no timestamp: {text[:40]}"
            allowed = "one number of seconds from 0 a line, or a comment that starts with #"
            raise UserError(key, path, problem, allowed)
        if seconds < before:
            problem = f"line {number} goes back in time: {seconds:g} s after {before:g} s"
            remedy = "sort the file: sort -g"
            raise UserError(key, path, problem, "ascending timestamps", remedy)
        times.append(seconds)
        before = seconds
    limited = np.array(times).clip(max=LONGEST_NS / 1e9) * 1e9
    return limited.round().astype(np.int64).tobytes()


def _lines(path: str, key: str) -> list[str]:
    try:
        there = Path(path).stat()
        if stat.S_ISREG(there.st_mode) and there.st_size <= MOST_BYTES:
            return Path(path).read_text(encoding="utf-8-sig").split("\n")
        large = f"is larger than {MOST_BYTES:,} bytes"
        problem = large if stat.S_ISREG(there.st_mode) else "is no file with text in it"
        remedy = "a shorter trace, or one in a file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        remedy = "give the path of a file, absolute or from the folder that the command runs in"
    except UnicodeDecodeError:
        problem, remedy = "is no text file in UTF-8", ""
    raise UserError(key, path, problem, remedy=remedy)
