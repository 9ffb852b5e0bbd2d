"""Libraries, schedulers and models that do not do what they say: a trial refuses each of them.

What an adversary does is said where it is played (`double.c`, `tests.runner.gpu_double.LIARS`).
NAME@window is honest until the window begins, so that nothing before it can tell.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.proof.checks import Verdict
from runner.trial.run import TrialResult
from runner.trial.status import Status
from tests.runner.gpu_double import DoublePlatform
from tests.runner.trial.test_gpu_trial import double, run, server, tried

__all__ = ["double", "server"]

#: A GPU that has all levels.
LEVELS = (7, 0)
#: Turns that are long against what a suspension lets through.
SHARES: dict[str, Any] = {
    "policy": "up",
    "arrival": "closed",
    "hints": {
        "urgent": {"utilization": 60},
        "low-1": {"utilization": 20},
        "low-2": {"utilization": 20},
    },
    "timeslice_us": 20_000,
    "threshold": 2,
    "batch_size": 1,
}

HONEST: dict[str, dict[str, Any]] = {
    "block": {},
    "block, 16 commands": {"threshold": 16},
    "block, 32 commands": {"threshold": 32},
    "deactivate": {"level": "deactivate"},
    "interrupt": {"level": "interrupt"},
    "null control": {"arm": "xsched_null"},
    "shares": SHARES,
}


@pytest.fixture(scope="module")
def platform(double: Path) -> Iterator[DoublePlatform]:
    """One for all trials in threads, which are forked from one warm parent."""
    made = DoublePlatform(double, LEVELS)
    yield made
    made.close()


def played(
    platform: DoublePlatform, folder: Path, adversary: str = "", **changes: Any
) -> TrialResult:
    platform.adversary = adversary
    return tried(platform, folder, **changes)


@pytest.mark.parametrize("case", HONEST)
def test_who_does_what_was_asked_is_proven(
    platform: DoublePlatform, tmp_path: Path, case: str
) -> None:
    result = played(platform, tmp_path, **HONEST[case])
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.proof.verdict is Verdict.PROVEN


@pytest.mark.parametrize("level", ["block", "interrupt"])
def test_processes_that_do_what_was_asked_are_proven(
    server: Path, tmp_path: Path, level: str
) -> None:
    asked = {"arm": "xsched_null", "placement": "processes", "cuda_lv3": "tsg"}
    result = run(DoublePlatform(server), tmp_path, level=level, **asked)
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.proof.verdict is Verdict.PROVEN


#: The urgent task waits for both others to pause at once, which may be never.
STARVES: dict[str, Any] = {"requests": 5, "limit_s": 3}


# What the reason says, and what differs from the usual trial.
Case = tuple[str, dict[str, Any]]

ALWAYS: dict[str, Case] = {
    "inert": ("intercepted", {}),
    "events-only": ("intercepted", {}),
    "counts-only": ("level", {}),
    "first-queue": ("window", {}),
    "all-but-last": ("level", {}),
    "tighter": ("held to less than was asked", {"threshold": 32}),
    "lower-level": ("level", {"level": "deactivate"}),
    # At threshold 8 the witness could not tell it from a suspension that came late.
    "higher-level": ("held to less than was asked", {"threshold": 16}),
    "every-second": ("level", {}),
    "past-queue": ("intercepted", {}),
    "lost-hint": ("window", STARVES),
    "inverted-hints": ("window", STARVES),
    "late": ("window", {}),
    "garbled": ("result", {}),
    "stale": ("result", {}),
    "no-kernels": ("intercepted", {}),
    "empty-kernels": ("result", {}),
}

IN_THE_WINDOW: dict[str, Case] = {
    "inert": ("window", {}),
    # The library that acts in calibration alone.
    "counts-only": ("window", {}),
    "first-queue": ("window", {}),
    "all-but-last": ("low-2", {}),
    # So that more marks than one are left in flight, and often enough: not near a request's end.
    "lower-level": ("window", {"level": "deactivate", "threshold": 16, "requests": 20}),
    "every-second": ("window", {}),
    "past-queue": ("window", {}),
    "lost-hint": ("window", STARVES),
    "inverted-hints": ("window", STARVES),
    "late": ("window", {}),
    "garbled": ("result", {}),
    "stale": ("result", {}),
    "no-kernels": ("the work of 0", {}),
    "empty-kernels": ("result", {}),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_an_adversary_is_refused(platform: DoublePlatform, tmp_path: Path, name: str) -> None:
    word, changes = ALWAYS[name]
    result = played(platform, tmp_path, name, **changes)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert word in result.reason


def test_the_command_that_nobody_interrupts_is_seen(
    platform: DoublePlatform, tmp_path: Path
) -> None:
    """What runs at a suspension ends, as at level deactivate, and nothing else."""
    result = played(platform, tmp_path, "lower-level", level="interrupt")
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert "1 commands completed after a suspension, at most 0 may" in result.reason


@pytest.mark.parametrize("name", IN_THE_WINDOW)
def test_an_adversary_of_the_window_is_refused(
    platform: DoublePlatform, tmp_path: Path, name: str
) -> None:
    word, changes = IN_THE_WINDOW[name]
    result = played(platform, tmp_path, f"{name}@window", **changes)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert word in result.reason
    assert result.requests[0].completed.size > 0, "nothing before the window could tell"


def test_inverted_shares_are_refused(platform: DoublePlatform, tmp_path: Path) -> None:
    result = played(platform, tmp_path, "inverted-hints@window", **SHARES)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert "of the device, and the policy gives" in result.reason


@pytest.mark.parametrize(
    ("adversary", "word"),
    [
        ("inert", "intercepted"),
        ("past-queue@window", "intercepted in the window"),
        ("garbled@window", "result"),
        ("no-kernels@window", "the work of 0"),
    ],
)
def test_an_adversary_in_processes_is_refused(
    server: Path, tmp_path: Path, adversary: str, word: str
) -> None:
    """The null control, for processes of the double do not schedule each other."""
    platform = DoublePlatform(server, adversary=adversary)
    result = run(platform, tmp_path, arm="xsched_null", placement="processes")
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert word in result.reason


def test_an_adversary_that_nobody_plays_is_no_honest_run(
    platform: DoublePlatform, tmp_path: Path
) -> None:
    result = played(platform, tmp_path, "misspelt")
    assert result.status is Status.FAILED
    assert "'misspelt'" in result.reason
