import math

import numpy as np
import pytest

from runner.config import ArrivalOverride, Config, TaskConfig
from runner.proof import Check, Proof
from runner.resolve import resolve
from runner.spec import TrialSpec
from runner.statistics import TaskRequests
from runner.summary import summarise
from runner.trial import FAILED, FINISHED, KILLED, TrialResult


def trial(arm: str = "xsched", requests: int = 3) -> TrialSpec:
    config = Config()
    config.arm.name = arm
    config.task_set.requests = requests
    config.task_set.tasks = {
        "urgent": TaskConfig(priority=2, arrival=ArrivalOverride("jitter", 0.2)),
        "low": TaskConfig(priority=1),
    }
    return resolve(config)


def result(
    status: str = FINISHED, late_ms: int = 0, wanted: int = 3, **changes: object
) -> TrialResult:
    ends = np.arange(1, 4, dtype=np.int64) * 10_000_000
    starts = ends - 10_000_000 + late_ms * 1_000_000
    requests = [
        TaskRequests(name, p, wanted, ends - 10_000_000, starts, ends, np.zeros((0, 3), np.int64))
        for name, p in (("urgent", 2), ("low", 1))
    ]
    checks = Proof((Check("level", True, "fine"),))
    made = TrialResult(status, "", requests, {}, checks, saturation=0.97, preemptions=9)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def notes(*arguments: object, **changes: object) -> str:
    return " ".join(summarise(trial(*arguments), result(**changes))["notes"])  # type: ignore[arg-type]


def test_a_clean_run_has_nothing_to_note() -> None:
    assert notes() == ""


@pytest.mark.parametrize(
    ("preemptions", "says"),
    [(0, "says nothing about levels"), (2, "next to nothing about levels"), (3, "")],
)
def test_few_preemptions_say_little(preemptions: int, says: str) -> None:
    found = notes(preemptions=preemptions)
    assert says in found if says else found == ""


def test_an_idle_device_cannot_show_priority_but_for_arms_that_leave_it_idle() -> None:
    assert "not saturated (0.33)" in notes(saturation=0.33)
    assert "saturated" not in notes("solo", saturation=0.33)
    assert "saturated" not in notes("urgent_only", saturation=0.33)


def test_late_starts_are_the_runners_fault() -> None:
    assert "6 of 6 requests started over 1 ms late" in notes(late_ms=2)


def test_a_cut_window_names_who_came_short() -> None:
    assert "cut at limit_s=900 (urgent 3/5, low 3/5)" in notes("xsched", 5, cut=True, wanted=5)


def test_a_failed_run_shows_no_figures() -> None:
    summary = summarise(trial(), result(FAILED))
    assert (summary["tasks"], summary["priorities"], summary["notes"]) == ({}, {}, [])


def test_a_killed_run_shows_what_was_measured_and_claims_nothing() -> None:
    summary = summarise(trial(), result(KILLED, saturation=math.nan, preemptions=None))
    assert summary["proof"] == "incomplete"
    assert summary["tasks"]["urgent"]["requests"] == 3
    assert summary["notes"] == []


def test_arms_without_xsched_have_no_policy_and_level() -> None:
    summary = summarise(trial("native"), result())
    assert (summary["policy"], summary["level"]) == ("none", "none")
