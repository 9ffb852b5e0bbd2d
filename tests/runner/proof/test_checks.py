"""Judgement of evidence. The inert libraries that public experiments have been run with must fail:
one that does nothing, one that counts but never suspends, one that counts only events."""

import dataclasses
import json
from pathlib import Path

import pytest

from runner.proof.checks import (
    Check,
    Interception,
    Interval,
    Proof,
    Suspension,
    Verdict,
    bound,
    check_hardware_hint,
    check_interception,
    check_level,
    check_policy,
    check_window,
    preemptions,
)
from runner.runs.files import read_proof, write_proof
from xsched_bindings.types import PreemptLevel

GOOD = Suspension(
    "t", PreemptLevel.block, 8, passed=6, pending=20, quiet=True, resumed=True, quiet_ms=3.0
)


def interval(task: str, completed: int = 0, limit: int = 8, preempted: bool = True) -> Interval:
    return Interval(task, 0, completed, limit, preempted)


def test_bounds_of_the_levels() -> None:
    assert [bound(level, 8) for level in PreemptLevel] == [8, 1, 0]


@pytest.mark.parametrize(
    ("counted", "passes"), [(320, True), (304, True), (303, False), (2, False), (0, False)]
)
def test_a_queue_must_have_seen_what_was_executed(counted: int, passes: bool) -> None:
    """0: no shim. 2: two event records a request look like interception and are not."""
    check = check_interception([Interception("t", 320, counted)])
    assert check.passed is passes
    if not passes:
        assert f"t: {counted} of 320" in check.finding
        assert "shim" in check.remedy


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
        ({"quiet": False}, "never went quiet"),
        ({"pending": 0}, "never went quiet"),
        ({"resumed": False}, "did not resume"),
    ],
)
def test_a_level_out_of_its_bound_fails(change: dict[str, object], says: str) -> None:
    check = check_level([GOOD, dataclasses.replace(GOOD, **change)])  # type: ignore[arg-type]
    assert not check.passed
    assert says in check.finding


def test_a_policy_that_suspends_what_it_must_passes() -> None:
    assert check_policy("hpf", ["low"], [interval("low", 8)]).passed


@pytest.mark.parametrize(
    ("expected", "intervals", "says"),
    [
        (["low"], [], "low was never suspended"),
        (["low"], [interval("low", preempted=False)], "low was never suspended"),
        (["low"], [interval("low", 9)], "low: completed 9 commands while suspended"),
        (["low"], [interval("low"), interval("high")], "high was suspended without need"),
        ([], [interval("low")], "low was suspended without need"),
    ],
)
def test_a_policy_that_does_not_fails(
    expected: list[str], intervals: list[Interval], says: str
) -> None:
    check = check_policy("hpf", expected, intervals)
    assert not check.passed
    assert says in check.finding


def test_under_up_everybody_takes_turns() -> None:
    assert check_policy("up", ["b"], [interval("a"), interval("b")]).passed


def test_a_window_is_judged_by_every_suspension() -> None:
    assert check_window([interval("a", 8), interval("b", 0)], none_expected=False).passed
    check = check_window([interval("a", 8), interval("b", 9)], none_expected=False)
    assert "b: completed 9 commands" in check.finding
    assert not check.passed


def test_the_null_control_must_suspend_nothing() -> None:
    assert check_window([], none_expected=True).passed
    assert not check_window([interval("a")], none_expected=True).passed


def test_preemptions_are_suspensions_of_queues_with_work() -> None:
    assert preemptions([interval("a"), interval("a", preempted=False)]) == 1


def test_the_verdict() -> None:
    good, bad = Check("level", True, "fine"), Check("policy", False, "not so", "Do this.")
    assert Proof().verdict is Verdict.NOT_CLAIMED
    assert Proof((good,)).verdict is Verdict.PROVEN
    failed = Proof((good, bad))
    assert failed.verdict is Verdict.FAILED
    assert failed.failure == "policy: not so. Do this."
    assert (Proof().failure, Proof((good,)).failure) == ("", "")


def test_what_is_checked_of_the_window_comes_behind_and_keeps_the_probes() -> None:
    good, bad = Check("level", True, "fine"), Check("window", False, "not so")
    proof, window = Proof((good,), (GOOD,)), [bad]
    whole = proof + window
    assert whole == Proof((good, bad), (GOOD,))
    assert whole.verdict is Verdict.FAILED


def test_the_evidence_of_a_level_is_how_many_probes_and_the_worst() -> None:
    probes = [GOOD, dataclasses.replace(GOOD, passed=8), dataclasses.replace(GOOD, passed=0)]
    assert check_level(probes).evidence == {"suspensions": 3, "most_completed": 8}
    assert check_level([]).evidence == {"suspensions": 0, "most_completed": 0}


def test_the_file_says_the_verdict_and_is_the_proof_again(tmp_path: Path) -> None:
    evidence = check_window([interval("a", 3)], none_expected=False)
    proof = Proof((check_level([GOOD]), evidence, Check("policy", False, "no", "Do.")), (GOOD,))
    write_proof(tmp_path, proof)
    assert json.loads((tmp_path / "proof.json").read_text())["verdict"] == "failed"
    assert read_proof(tmp_path) == proof
