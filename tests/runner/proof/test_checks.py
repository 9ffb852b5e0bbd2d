"""Judgement of evidence. The inert libraries that public experiments have been run with must fail:
one that does nothing, one that counts but never suspends, one that counts only events."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from runner.proof.checks import (
    Check,
    Interception,
    Proof,
    Suspension,
    Verdict,
    bound,
    check_calls,
    check_hardware_hint,
    check_interception,
    check_level,
    enough,
    least,
    undecided,
)
from runner.runs.files import read_proof
from tests.runner.run_folders import keep
from xsched_bindings.companion import Calls
from xsched_bindings.types import PreemptLevel

GOOD = Suspension(
    "t", PreemptLevel.block, 8, passed=6, pending=20, quiet=True, resumed=True, quiet_ms=3.0
)

GOOD_AT_8_4 = dataclasses.replace(GOOD, passed=1, batch_size=4, may_have_passed=1)


def test_bounds_of_the_levels() -> None:
    assert [bound(level, 8) for level in PreemptLevel] == [8, 1, 0]


@pytest.mark.parametrize(
    ("counted", "passes"), [(320, True), (317, True), (316, False), (2, False), (0, False)]
)
def test_a_queue_must_have_seen_what_was_executed(counted: int, passes: bool) -> None:
    """0: no shim. 2: two event records a request look like interception and are not."""
    check = check_interception([Interception("t", 320, counted)])
    assert check.passed is passes
    if not passes:
        assert f"t: {counted} of 320" in check.finding
        assert "shim" in check.remedy


def test_what_the_queue_missed_is_weighed_by_time_too() -> None:
    """Three of 320 commands, and they are the matrix products."""
    missed = Interception("t", 320, 317, device_s=0.1, missed_s=0.02)
    assert not check_interception([missed]).passed
    assert check_interception([dataclasses.replace(missed, missed_s=0.0009)]).passed


def test_a_witness_that_saw_nothing_is_none() -> None:
    check = check_interception([Interception("a", 320, 320), Interception("b", 0, 320)])
    assert not check.passed
    assert "b: 320 of 0 commands" in check.finding


def test_a_call_that_went_past_the_queue_is_named() -> None:
    calls = {"hipGraphLaunch": Calls(held=2), "hipLaunchOnTwo": Calls(queued=1, passed=3)}
    check = check_interception([Interception("t", 320, 320, calls=calls)])
    assert not check.passed
    assert check.finding.endswith("(t: hipLaunchOnTwo (3) went past it)")
    assert check.evidence["t"]["calls"]["hipGraphLaunch"] == {"queued": 0, "held": 2, "passed": 0}
    assert check_interception([Interception("t", 1, 1, calls={"f": Calls(queued=9)})]).passed


def test_a_call_that_went_past_in_the_window_is_named() -> None:
    check = check_calls({"hipLaunchOnTwo": Calls(passed=3), "hipGraphLaunch": Calls(held=2)})
    assert not check.passed
    assert check.finding.endswith(": hipLaunchOnTwo (3)")
    assert check_calls({"hipGraphLaunch": Calls(queued=1, held=2)}).passed


def test_a_hardware_hint_must_be_the_one_that_was_given() -> None:
    assert check_hardware_hint({"a": 0, "b": 5}, {"a": 0, "b": 5}).passed
    check = check_hardware_hint({"a": 0, "b": 5}, {"a": 0, "b": 0})
    assert not check.passed
    assert "b: 0 for 5" in check.finding


def test_one_task_that_is_not_intercepted_fails_all() -> None:
    assert not check_interception([Interception("a", 10, 10), Interception("b", 10, 0)]).passed


def test_a_level_within_its_bound_passes() -> None:
    assert check_level([GOOD]).passed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"passed": 9}, "9 commands completed after a suspension, at most 8 may"),
        ({"level": PreemptLevel.deactivate, "passed": 2}, "at most 1 may"),
        ({"level": PreemptLevel.interrupt, "passed": 1}, "at most 0 may"),
        ({"resumed": False}, "did not resume"),
    ],
)
def test_a_level_out_of_its_bound_fails(change: dict[str, object], says: str) -> None:
    check = check_level([GOOD, dataclasses.replace(GOOD, **change)])  # type: ignore[arg-type]
    assert not check.passed
    assert says in check.finding


@pytest.mark.parametrize("change", [{"quiet": False}, {"pending": 0}])
def test_a_disturbed_probe_tells_nothing_and_is_counted(change: dict[str, Any]) -> None:
    disturbed = dataclasses.replace(GOOD, **change)
    assert disturbed.disturbed
    check = check_level([disturbed, GOOD])
    assert check.passed
    assert check.finding == "at most 6 commands completed after 2 suspensions (1 of them disturbed)"
    alone = check_level([GOOD, dataclasses.replace(disturbed, task="other")])
    assert not alone.passed
    assert "other: the queue never went quiet" in alone.finding
    leaking = dataclasses.replace(disturbed, passed=9)
    assert not leaking.disturbed, "to go on is no disturbance"


def test_who_lets_the_running_command_end_each_time_interrupts_nothing() -> None:
    """It may have ended while the suspension was made, which can take as long as a command."""
    ended = dataclasses.replace(GOOD, level=PreemptLevel.interrupt, passed=0, may_have_passed=1)
    stopped = dataclasses.replace(ended, may_have_passed=0)
    assert (ended.disturbed, stopped.disturbed) == (True, False)
    assert check_level([ended, stopped]).passed
    assert not enough([ended] * 5 + [stopped], 2)
    assert enough([ended, stopped, stopped], 2)
    check = check_level([ended] * 5)
    assert not check.passed
    assert "the command that ran ended with each of 5 suspensions" in check.finding


@pytest.mark.parametrize(
    ("level", "threshold", "batch", "commands"),
    [
        (PreemptLevel.block, 8, 4, 3),
        (PreemptLevel.block, 64, 32, 31),
        (PreemptLevel.block, 64, 4, 55),
        (PreemptLevel.block, 4, 4, 1),
        (PreemptLevel.block, 1, 1, 0),
        (PreemptLevel.deactivate, 64, 32, 1),
        (PreemptLevel.interrupt, 64, 32, 0),
    ],
)
def test_what_some_suspension_must_let_pass(
    level: PreemptLevel, threshold: int, batch: int, commands: int
) -> None:
    assert least(level, threshold, batch) == commands


TOO_STRONG = {
    "threshold 16 for 64": (PreemptLevel.block, 64, 32, 16),
    "deactivate for block": (PreemptLevel.block, 8, 4, 1),
    "interrupt for deactivate": (PreemptLevel.deactivate, 8, 4, 0),
}


@pytest.mark.parametrize("case", TOO_STRONG)
def test_a_queue_held_to_less_than_was_asked_fails(case: str) -> None:
    level, threshold, batch, most = TOO_STRONG[case]
    probes = [
        Suspension("t", level, threshold, passed, 20, True, True, 3.0, batch, passed)
        for passed in range(most + 1)
    ]
    check = check_level(probes)
    assert not check.passed
    assert f"t: at most {most} commands completed after {most + 1} suspensions" in check.finding
    assert "held to less than was asked" in check.finding
    assert not enough(probes, 1)
    honest = dataclasses.replace(probes[-1], may_have_passed=least(level, threshold, batch))
    assert check_level([*probes, honest]).passed, "one is enough"


def test_probes_end_when_they_tell_what_there_is_to_tell() -> None:
    weak, fair = GOOD_AT_8_4, dataclasses.replace(GOOD_AT_8_4, passed=5, may_have_passed=5)
    assert not enough([], 1)
    assert enough([fair], 1)
    assert not enough([fair], 2)
    assert not enough([weak, weak], 2)
    assert enough([weak, weak, fair], 2)
    assert not enough([fair, dataclasses.replace(fair, quiet=False)], 2)
    assert enough([dataclasses.replace(weak, passed=9)], 5), "more cannot mend it"
    assert enough([GOOD, GOOD], 2), "of old records nothing is known"


def test_the_verdict() -> None:
    good, bad = Check("level", True, "fine"), Check("policy", False, "not so", "Do this.")
    assert Proof().verdict is Verdict.NOT_CLAIMED
    assert Proof((good,)).verdict is Verdict.PROVEN
    failed = Proof((good, bad))
    assert failed.verdict is Verdict.FAILED
    assert failed.failure == "policy: not so. Do this."
    assert (Proof().failure, Proof((good,)).failure) == ("", "")


@pytest.mark.parametrize("claim", [Verdict.PROVEN, Verdict.IN_PLACE, Verdict.NOT_CLAIMED])
def test_a_proof_is_of_what_it_claims_if_it_could_have_failed(claim: Verdict) -> None:
    good = Check("outputs", True, "fine")
    assert Proof((good,), claim).verdict is claim
    assert Proof((good, undecided("little", {})), claim).verdict is Verdict.UNDECIDED
    failed = Proof((good, undecided("little", {}), Check("window", False, "no")), claim)
    assert failed.verdict is Verdict.FAILED


def test_what_is_checked_of_the_window_comes_behind_and_keeps_the_probes() -> None:
    good, bad = Check("level", True, "fine"), Check("window", False, "not so")
    whole = Proof((good,), suspensions=(GOOD,)).also(bad)
    assert whole == Proof((good, bad), suspensions=(GOOD,))
    assert whole.verdict is Verdict.FAILED


def test_the_evidence_of_a_level_is_how_many_probes_and_the_worst() -> None:
    probes = [GOOD, dataclasses.replace(GOOD, passed=8), dataclasses.replace(GOOD, passed=0)]
    assert check_level(probes).evidence == {"suspensions": 3, "most_completed": 8, "disturbed": 0}
    assert check_level([]).evidence == {"suspensions": 0, "most_completed": 0, "disturbed": 0}


def test_the_file_says_the_verdict_and_is_the_proof_again(tmp_path: Path) -> None:
    evidence = undecided("little was at stake", {"at_stake": 0})
    checks = (check_level([GOOD]), evidence, Check("policy", False, "no", "Do."))
    alone = Interception("t", 3, 3, 0.5, results=(1.0, 2.0, 1.0, 2.0))
    proof = Proof(checks, Verdict.IN_PLACE, (GOOD,), (alone,))
    keep(tmp_path, proof=proof)
    assert json.loads((tmp_path / "proof.json").read_text())["verdict"] == "failed"
    assert read_proof(tmp_path) == proof
