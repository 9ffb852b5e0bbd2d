"""When requests arrive: schedules from a seed, the same for every arm.

A schedule is an endless iterator of nanoseconds after the common start, never going back. It
depends on nothing but the task's arrival process, its mean gap, the seed and the task's name.
"""

import math
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.errors import UserError
from runner.spec import TaskSpec

Gaps = NDArray[np.float64]

#: Gaps drawn at once.
BLOCK = 4096
#: Over 27 hours: longer than any window, and short enough for a block's sum to stay an int64.
LONGEST_NS = 100_000 * 10**9


def schedule(task: TaskSpec, solo_s: float, seed: int) -> Iterator[int] | None:
    """The arrivals of this task; None for a closed loop.

    solo_s: seconds of one request alone; without meaning to a task whose rate is absolute.
    """
    arrival = task.arrival
    gap_ns = mean_gap_ns(task, solo_s)
    random = np.random.Generator(np.random.PCG64([seed, zlib.crc32(task.name.encode())]))
    match arrival.process:
        case "periodic":
            return bursts(gap_ns, 1, random)
        case "burst":
            return bursts(gap_ns, arrival.burst_size, random)
        case "jitter":
            return jitter(gap_ns, random)
        case "poisson":
            return poisson(gap_ns, random)
        case "lognormal":
            return lognormal(gap_ns, arrival.sigma, random)
        case "gamma":
            return gamma(gap_ns, arrival.cv, random)
        case "trace":
            return replay(arrival.trace)
    return None


def mean_gap_ns(task: TaskSpec, solo_s: float) -> float:
    """Nanoseconds between two arrivals on average; not a number where the task has no such rate."""
    if task.arrival.rate_rps is not None:
        return 1e9 / task.arrival.rate_rps
    return math.nan if task.arrival.load is None else solo_s * 1e9 / task.arrival.load


def bursts(mean_gap_ns: float, size: int, random: np.random.Generator) -> Iterator[int]:
    """`size` arrivals at once, every `size` mean gaps to the nanosecond; of size 1, periodic. The
    phase is drawn, so tasks of one period do not arrive together."""
    period_ns, phase = mean_gap_ns * size, random.uniform()
    return (at for n in count() for at in repeat(int((phase + n) * period_ns), size))


def jitter(mean_gap_ns: float, random: np.random.Generator) -> Iterator[int]:
    """Gaps uniform in [T/2, 3T/2) with T = `mean_gap_ns` (the XSched artifact's pacing). Beyond a
    block the same gaps come again: schedules of recorded experiments stay what they were."""
    gaps = random.uniform(0.5, 1.5, BLOCK) * mean_gap_ns
    return _cumulated(lambda: gaps)


def poisson(mean_gap_ns: float, random: np.random.Generator) -> Iterator[int]:
    """Independent arrivals: gaps are exponential."""
    return _cumulated(lambda: random.exponential(mean_gap_ns, BLOCK))


def lognormal(mean_gap_ns: float, sigma: float, random: np.random.Generator) -> Iterator[int]:
    """Gaps whose logarithm is normal with standard deviation `sigma`; their mean is the gap's."""
    mu = math.log(mean_gap_ns) - sigma**2 / 2
    return _cumulated(lambda: random.lognormal(mu, sigma, BLOCK))


def gamma(mean_gap_ns: float, cv: float, random: np.random.Generator) -> Iterator[int]:
    """Gamma gaps with coefficient of variation `cv`: 1 is Poisson, above it arrivals clump."""
    return _cumulated(lambda: random.gamma(cv**-2, mean_gap_ns * cv**2, BLOCK))


def replay(trace: bytes) -> Iterator[int]:
    """The arrivals of a trace, and then one that never comes: the task is done."""
    return chain(times_ns(trace).tolist(), repeat(LONGEST_NS))


def times_ns(trace: bytes) -> NDArray[np.int64]:
    """The arrival times of a trace, nanoseconds after the common start."""
    return np.frombuffer(trace, np.int64)


def _cumulated(draw: Callable[[], Gaps]) -> Iterator[int]:
    """Arrivals from blocks of gaps. The first block is drawn now, outside the window."""
    return _from_blocks(draw(), draw)


def _from_blocks(gaps: Gaps, draw: Callable[[], Gaps]) -> Iterator[int]:
    offset = 0
    while True:
        times = np.clip(gaps, 1, LONGEST_NS).cumsum().astype(np.int64).tolist()
        for time in times:
            yield offset + time
        offset += times[-1]
        gaps = draw()


def read_trace(path: str, key: str) -> bytes:
    """The arrival times of a trace file as int64 nanoseconds after the common start.

    One timestamp in seconds a line, ascending, from 0; empty lines and lines that start with # are
    skipped. Anything else raises `UserError` with `key` and the number of the line."""
    times, before = [], 0.0
    for number, line in enumerate(_lines(path, key), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        seconds = _seconds(text)
        if math.isnan(seconds):
            raise UserError(
                key,
                path,
                f"line {number} is no timestamp: {text[:40]}",
                allowed="one number of seconds from 0 a line, or a comment that starts with #",
            )
        if seconds < before:
            raise UserError(
                key,
                path,
                f"line {number} goes back in time: {seconds:g} s after {before:g} s",
                allowed="ascending timestamps",
                remedy="sort the file: sort -g",
            )
        times.append(seconds)
        before = seconds
    limited = np.minimum(np.array(times) * 1e9, LONGEST_NS)
    return limited.round().astype(np.int64).tobytes()


def _lines(path: str, key: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        remedy = "give the path of a file, absolute or from the folder that the command runs in"
    except UnicodeDecodeError:
        problem, remedy = "is no text file in UTF-8", ""
    raise UserError(key, path, problem, remedy=remedy)


def _seconds(text: str) -> float:
    """The timestamp; not a number if it is none."""
    try:
        seconds = float(text)
    except ValueError:
        return math.nan
    return seconds if 0 <= seconds < math.inf else math.nan
