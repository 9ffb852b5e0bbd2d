"""Schedulers, queues and models on CPU cores that do not do what they say: a trial refuses each of
them, as on the double of a GPU (`tests.runner.trial.test_gpu_adversaries`).

What an adversary does: `tests.runner.host_adversaries.NAMES`. NAME@window is honest until the
window begins, so that nothing before it can tell.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.config.schema import ModelOverride
from runner.proof.checks import Verdict
from runner.trial.run import TrialResult, run_trial
from runner.trial.status import Status
from tests.runner.host_adversaries import AdversaryPlatform, solo, trial
from tests.runner.trial.test_gpu_trial import Silent

TWO = ("low",)
LONG = ModelOverride(name="synthetic", size=80, work_us=500)
#: Turns that are long against what a suspension lets through, and requests that are longer: nobody
#: then loses a turn between two of them.
SHARES: dict[str, Any] = {
    "policy": "up",
    "low": TWO,
    "arrival": "closed",
    "model": ModelOverride(name="synthetic", size=250, work_us=250),
    "hints": {"urgent": {"utilization": 75}, "low": {"utilization": 25}},
    "timeslice_us": 40_000,
    "threshold": 4,
    "batch_size": 2,
    "requests": 6,
}
EVEN = SHARES | {
    "hints": {"urgent": {"utilization": 50}, "low": {"utilization": 50}},
    "requests": 16,
}
DEADLINES: dict[str, Any] = {
    "policy": "kedf",
    "low": TWO,
    "model": LONG,
    "hints": {"urgent": {"deadline_us": 1_000}, "low": {"deadline_us": 1_000_000}},
}
LAXITIES: dict[str, Any] = {
    "policy": "lax",
    "low": TWO,
    "hints": {"urgent": {"laxity_us": 10_000}, "low": {"priority": 0}},
}
#: Lower tasks that pause, so that an urgent one which waits for them is not held up for good, and
#: has requests enough to tell.
PAUSES: dict[str, Any] = {"low_arrival": "jitter", "model": LONG, "requests": 10}
#: A model whose requests have results.
COMPUTES: dict[str, Any] = {
    "low": TWO,
    "model": ModelOverride(name="bert_mini", size=64),
    "requests": 25,
}


@pytest.fixture(scope="module")
def platform() -> Iterator[AdversaryPlatform]:
    made = AdversaryPlatform()
    yield made
    made.close()


def run(platform: AdversaryPlatform, folder: Path, adversary: str, **changes: Any) -> TrialResult:
    platform.adversary, platform.since = adversary, folder / "since"
    spec = trial(platform, **changes)
    return run_trial(spec, platform, solo(spec), folder, Silent(), lambda: None)


HONEST: dict[str, dict[str, Any]] = {
    "hpf": {},
    "hpf, others that pause": PAUSES,
    "hpf, 16 commands": {"threshold": 16},
    "hpf, deactivate": {"level": "deactivate", "threshold": 16},
    "hpf, interrupt": {"level": "interrupt"},
    "kedf": DEADLINES,
    "lax": LAXITIES,
    "up": SHARES,
    "up, even shares": EVEN,
    "null control": {"arm": "xsched_null"},
    "a model": COMPUTES,
}


@pytest.mark.parametrize("case", HONEST)
def test_who_does_what_was_asked_is_proven(
    platform: AdversaryPlatform, tmp_path: Path, case: str
) -> None:
    result = run(platform, tmp_path, "", **HONEST[case])
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.proof.verdict is Verdict.PROVEN


# What the reason says, and what differs from the usual trial.
Case = tuple[str, dict[str, Any]]

ALWAYS: dict[str, Case] = {
    "inert": ("level", {}),
    "bypassed": ("intercepted", {}),
    "first-queue": ("level", {}),
    "all-but-last": ("level: low-2", {}),
    "tighter": ("held to less than was asked", {"threshold": 64, "batch_size": 32}),
    "lower-level": ("level", {"level": "deactivate"}),
    "higher-level": ("held to less than was asked", {}),
    "every-second": ("level", {}),
    "past-queue": ("intercepted", {}),
    "lost-hint": ("window", PAUSES),
    "inverted-hints": ("window", PAUSES),
    "late": ("window", {}),
    "lowest-first": ("window", PAUSES),
    "no-deadlines": ("window", DEADLINES),
    "never-critical": ("window", LAXITIES),
    "inverted-shares": ("of the device, and the policy gives", SHARES),
    "long-turns": ("turns lasted", EVEN),
    "garbled": ("result", COMPUTES),
    "stale": ("result", COMPUTES),
    "empty-kernels": ("result", COMPUTES),
    # The probes of the level never end.
    "dropped-kernels": ("work did not resume", {}),
    "no-kernels": ("intercepted", {}),
}

IN_THE_WINDOW: dict[str, Case] = {
    # What acts in calibration alone.
    "inert": ("window", {}),
    "bypassed": ("intercepted in the window", {}),
    "first-queue": ("window", {}),
    "all-but-last": ("window: low-2", {}),
    # So that more marks than one are left in flight, and often enough: not near a request's end.
    "lower-level": ("window", {"level": "deactivate", "threshold": 16, "requests": 20}),
    "tighter": ("held to less than was asked", {"threshold": 16, "requests": 12}),
    "higher-level": ("held to less than was asked", {"threshold": 16, "requests": 12}),
    "every-second": ("window", {}),
    "past-queue": ("intercepted in the window", {}),
    "lost-hint": ("window", PAUSES),
    "inverted-hints": ("window", PAUSES),
    "late": ("window", {}),
    "garbled": ("result", COMPUTES),
    "stale": ("result", COMPUTES),
    "empty-kernels": ("result", COMPUTES),
    "dropped-kernels": ("the device completed the work of", {}),
    "no-kernels": ("the work of 0", {}),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_an_adversary_is_refused(platform: AdversaryPlatform, tmp_path: Path, name: str) -> None:
    word, changes = ALWAYS[name]
    result = run(platform, tmp_path, name, **changes)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED), result.proof
    assert word in result.reason


@pytest.mark.parametrize("name", IN_THE_WINDOW)
def test_an_adversary_of_the_window_is_refused(
    platform: AdversaryPlatform, tmp_path: Path, name: str
) -> None:
    word, changes = IN_THE_WINDOW[name]
    result = run(platform, tmp_path, f"{name}@window", **changes)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED), result.proof
    assert word in result.reason
    before = {check.name: check.passed for check in result.proof.checks}
    assert before["level"], "nothing before the window can tell"
    assert before["intercepted"]


def test_inverted_shares_of_the_window_are_refused(
    platform: AdversaryPlatform, tmp_path: Path
) -> None:
    result = run(platform, tmp_path, "inverted-hints@window", **SHARES)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED), result.proof
    assert "of the device, and the policy gives" in result.reason


def test_an_adversary_that_nobody_plays_is_no_honest_run(
    platform: AdversaryPlatform, tmp_path: Path
) -> None:
    result = run(platform, tmp_path, "misspelt")
    assert result.status is Status.FAILED
    assert "'misspelt'" in result.reason
