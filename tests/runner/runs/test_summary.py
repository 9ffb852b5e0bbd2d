import math
from dataclasses import replace

import numpy as np
import pytest

from runner.config.resolve import resolve
from runner.config.schema import ArrivalOverride, Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.contract import Standstill
from runner.proof.checks import Check, Proof, Suspension, Verdict, undecided
from runner.runs.record import Summary
from runner.runs.summary import summarise
from runner.trial.others import OtherLoad
from runner.trial.run import TrialResult
from runner.trial.status import Status
from xsched_bindings.types import PreemptLevel


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
    status: Status = Status.FINISHED, late_ms: int = 0, wanted: int = 3, **changes: object
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


def summary(spec: TrialSpec | None = None, measured: TrialResult | None = None) -> Summary:
    return summarise(spec or trial(), measured or result(), "r")


def notes(*arguments: object, **changes: object) -> str:
    spec, measured = trial(*arguments), result(**changes)  # type: ignore[arg-type]
    return " ".join(summary(spec, measured).notes)


def test_a_clean_run_has_nothing_to_note() -> None:
    assert notes() == ""
    assert summary().valid is True


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


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (None, ""),
        (OtherLoad(0.4, 0.04), ""),
        (OtherLoad(1.5), "other processes kept 1.5 CPU cores busy"),
        (OtherLoad(0.4, 0.3), "other processes had 0.30 of the device's CPU cores"),
    ],
)
def test_what_others_took_of_the_machine_is_noted(others: OtherLoad | None, says: str) -> None:
    found = notes(other_load=others)
    assert says in found if says else found == ""
    assert summary(measured=result(other_load=others)).other_load == others


def test_a_standstill_makes_the_run_invalid_whatever_the_saturation() -> None:
    for saturation in (0.97, math.nan):
        stood = (Standstill("the trial's process", 19.84),)
        found = summary(measured=result(stood_still=stood, saturation=saturation))
        assert not found.valid
        note = "not valid: the trial's process stood still for 19.8 s of the window"
        assert note in found.notes


@pytest.mark.parametrize("arm", ["xsched", "xsched_null", "stream_priority"])
def test_a_run_whose_window_decides_nothing_is_not_valid_and_says_why(arm: str) -> None:
    """It is no failure, and its figures are shown, but they are no result about scheduling."""
    good, open_ = Check("level", True, "fine"), undecided("hardly any requests", {})
    claim = Verdict.IN_PLACE if arm == "stream_priority" else Verdict.PROVEN
    found = summary(trial(arm), result(proof=Proof((good, open_), claim)))
    assert (found.status, found.proof, found.valid) == (
        Status.FINISHED,
        Verdict.UNDECIDED,
        False,
    )
    note = "no result about scheduling: not decidable: hardly any requests. More requests, a "
    assert [each for each in found.notes if each.startswith(note)]
    assert found.figures


def test_hints_of_the_hardware_are_in_place_and_no_proof() -> None:
    proof = Proof((Check("hardware hint", True, "in place"),), Verdict.IN_PLACE)
    found = summary(trial("stream_priority"), result(proof=proof))
    assert (found.proof, found.valid, found.notes) == (Verdict.IN_PLACE, True, ())


def test_hints_of_the_hardware_that_do_nothing_are_named() -> None:
    found = notes("stream_priority", no_effect=True, against_policy=0.89)
    assert found == (
        "no effect seen of what the hardware was told: tasks went on for 89% of the time for which "
        "hpf would hold them back"
    )


def test_where_the_host_limits_a_gpu_graphs_are_named() -> None:
    spec = replace(trial("native"), platform="cuda")
    assert "; model.graphs=N gives" in " ".join(summary(spec, result(saturation=0.5)).notes)
    graphs = tuple(replace(task, model=replace(task.model, graphs=4)) for task in spec.tasks)
    captured = summary(replace(spec, tasks=graphs), result(saturation=0.5))
    assert "graphs" not in " ".join(captured.notes)
    assert "graphs" not in notes("native", saturation=0.5)


def test_late_starts_are_the_runners_fault() -> None:
    assert "6 of 6 requests started over 1 ms late" in notes(late_ms=2)
    assert summary(measured=result(late_ms=2)).valid, "a warning, as they may be few"


def test_what_is_not_steady_or_floods_its_queue_says_so() -> None:
    assert "not steady after the warm-up: urgent" in notes(unsteady=("urgent",))
    flooded = Config()
    flooded.task_set.tasks = {"urgent": TaskConfig(arrival=ArrivalOverride("jitter", 1.5))}
    found = summary(resolve(flooded)).notes
    assert any("load above 1: the queue of urgent grows" in note for note in found)


def paced(
    process: str,
    completed: int,
    saturation: float,
    wanted: int = 20,
    burst_size: int = 1,
    status: Status = Status.FINISHED,
) -> Summary:
    """A trial whose task urgent gets 100 requests/s for a second and completes so many."""
    config = Config()
    config.arm.name = "native"
    config.task_set.requests = wanted
    arrival = ArrivalOverride(process, rate_rps=100.0, burst_size=burst_size)
    config.task_set.tasks = {"urgent": TaskConfig(priority=2, arrival=arrival)}
    config.task_set.tasks["low"] = TaskConfig(priority=1, requests=1)
    ends = np.linspace(0, 1e9, completed + 1).astype(np.int64)[1:]
    one, none = np.array([10**9]), np.zeros((0, 3), np.int64)
    requests = [
        TaskRequests("urgent", 2, wanted, ends - 1, ends - 1, ends, none),
        TaskRequests("low", 1, 1, one * 0, one * 0, one, none),
    ]
    measured = result(status, saturation=saturation)
    measured.requests = requests
    return summary(resolve(config), measured)


def test_a_rate_that_an_idle_device_misses_makes_the_run_invalid() -> None:
    missed = paced("periodic", 80, saturation=0.5)
    assert not missed.valid
    assert (
        "not valid: urgent achieved 80 of 100 requests/s offered, and the device was not saturated "
        "(0.50)"
    ) in " ".join(missed.notes)
    assert "piled up and open when the window ended: requests of urgent 20" in " ".join(
        missed.notes
    )


def test_a_rate_that_a_saturated_device_misses_is_a_result() -> None:
    missed = paced("periodic", 80, saturation=0.9)
    assert missed.valid
    assert "requests of urgent 20" in " ".join(missed.notes)


@pytest.mark.parametrize(
    ("process", "completed", "burst_size"),
    [("periodic", 96, 1), ("burst", 90, 20)],
)
def test_what_is_open_only_because_a_window_ends_is_no_fault(
    process: str, completed: int, burst_size: int
) -> None:
    fine = paced(process, completed, saturation=0.95, burst_size=burst_size)
    assert (fine.tasks["urgent"].open or 0) > 0
    assert (fine.valid, fine.notes) == (True, ())
    assert paced(process, completed, saturation=0.5, burst_size=burst_size).valid


def test_requests_that_the_figures_lack_are_counted() -> None:
    short = paced("periodic", 97, saturation=0.9, wanted=99)
    assert short.tasks["urgent"].open == 3
    assert "requests of urgent 3" in " ".join(short.notes)


def test_a_cut_window_names_who_came_short() -> None:
    assert "cut at limit_s=900 (urgent 3/5, low 3/5)" in notes("xsched", 5, cut=True, wanted=5)


def test_a_failed_run_shows_no_figures() -> None:
    failed = summary(measured=result(Status.FAILED))
    assert (failed.tasks, failed.figures, failed.notes) == ({}, {}, ())
    assert failed.valid is False


def test_a_killed_run_shows_what_was_measured_and_claims_nothing() -> None:
    """Also an open loop that had fallen behind: of an unknown saturation nothing is said."""
    killed = summary(measured=result(Status.KILLED, saturation=math.nan, preemptions=None))
    behind = paced("periodic", 80, math.nan, status=Status.KILLED)
    assert not [note for note in behind.notes if "saturated" in note]
    assert killed.proof is Verdict.INCOMPLETE
    assert killed.saturation is None
    assert killed.tasks["urgent"].requests == 3
    assert killed.value("p99_ms/urgent") == 10
    assert (killed.notes, killed.valid) == ((), False)


def test_arms_without_xsched_have_no_policy_and_level() -> None:
    native = summary(trial("native"))
    assert (native.policy, native.level, native.asked_level) == ("none", "none", "none")


def test_it_names_the_run_and_what_it_was_of() -> None:
    spec = trial()
    measured = result(timing_s={"window": 1.0}, cut=True, unsteady=("low",), against_policy=0.02)
    measured.pace_us = 210.5
    made = summary(spec, measured)
    assert (made.name, made.status, made.arm) == ("r", Status.FINISHED, "xsched")
    assert (made.task_set, made.platform, made.placement) == (
        spec.task_set,
        spec.platform,
        spec.placement,
    )
    assert (made.policy, made.level, made.priority) == ("hpf", "block", "applied")
    assert (made.proof, made.preemptions, made.saturation) == (Verdict.PROVEN, 9, 0.97)
    assert (made.against_policy, made.pace_us) == (0.02, 210.5)
    assert (made.cut, made.steady, made.timing_s) == (True, False, {"window": 1.0})
    assert made.config_hash == spec.config_hash
    assert made.priorities == [2, 1]
    assert (made.value("p50_ms/priority_2"), made.value("p50_ms/nobody")) == (10, None)


def test_the_level_s_probes_are_timed() -> None:
    probes = tuple(
        Suspension("low", PreemptLevel.block, 4, 3, 9, True, True, float(ms)) for ms in (1, 2, 6)
    )
    made = summary(measured=result(proof=Proof(suspensions=probes)))
    assert made.preemption_ms == {"p50": 2, "p90": 6, "p99": 6, "max": 6, "mean": 3}
    assert summary().preemption_ms == {}
