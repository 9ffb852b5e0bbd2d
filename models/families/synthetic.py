"""A workload of commands of fixed *work*, for calibration and proof. Needs no torch.

Fixed work, not fixed duration: a command that shares its core takes longer, one that was stopped
in its middle still has its rest to do. Key derivation serves because its work is an exact number of
iterations of one C loop, the same on every call.
"""

import hashlib
import time
from collections.abc import Callable
from functools import cache, partial

from models.spec import ModelInfo

MODELS = {"synthetic": ModelInfo("commands", 100, 0, 100_000, bare=True)}

CALIBRATION_ITERATIONS = 20_000


def spin(iterations: int) -> None:
    hashlib.pbkdf2_hmac("sha256", b"xsched", b"runner", iterations)


@cache
def iterations_per_us() -> float:
    """Speed of an undisturbed core in this process, from the best of five short runs."""

    def seconds() -> float:
        start = time.perf_counter()
        spin(CALIBRATION_ITERATIONS)
        return time.perf_counter() - start

    return CALIBRATION_ITERATIONS / (min(seconds() for _ in range(5)) * 1e6)


def nothing() -> None:
    """A command of no work."""


def commands(count: int, work_us: int) -> list[Callable[[], None]]:
    """`count` commands (0 or more), each of `work_us` microseconds of undisturbed work."""
    command = (
        partial(spin, max(1, round(work_us * iterations_per_us()))) if work_us > 0 else nothing
    )
    return [command] * count
