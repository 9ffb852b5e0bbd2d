"""One point, with a trial that is over at once: what was measured is kept, whatever comes after."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.platforms.contract import PlatformError
from runner.proof.checks import Verdict
from runner.runs import files, provenance, solo, store
from runner.runs.load import load
from runner.runs.record import Summary, Where
from runner.runs.run import Run, read_run
from runner.sweep import job, resume
from runner.sweep.derive import problems_of
from runner.trial.status import Status
from tests.faults import instant, started
from tests.faults.sweeps import SMOKE, again, into


def run(folder: Path, prepare: Callable[[], object]) -> tuple[started.Ended, Run]:
    """The command with a single point, in a process of its own that `prepare` has changed."""
    ended = started.run(into(folder, SMOKE), folder / "log", prepare)
    assert "Traceback" not in ended.said
    (place,) = (path.parent for path in folder.glob("out/*/*/config.yaml"))
    return ended, read_run(place)


def raising(error: BaseException) -> Callable[..., Any]:
    def fails(*_: Any) -> None:
        raise error

    return fails


def trial_that_fails(error: BaseException) -> None:
    instant.run_trial = raising(error)


# --- before there is a result --------------------------------------------------------------------


def test_what_the_platform_refuses_is_a_failed_run_with_its_reason(tmp_path: Path) -> None:
    error = PlatformError("the device is gone")
    ended, ran = run(tmp_path, lambda: trial_that_fails(error))
    assert ended.code == 1
    assert "FAILED block: the device is gone" in ended.lines
    assert ran.summary == Summary(
        name="block",
        status=Status.FAILED,
        reason="the device is gone",
        arm="xsched",
        task_set="smoke",
        folder=str(ran.folder),
        where=provenance.where("host"),
    )
    assert {path.name for path in ran.folder.iterdir()} == {files.SUMMARY, files.CONFIG}
    again(tmp_path, SMOKE, 1)


def test_a_fault_of_ours_is_one_too_and_keeps_its_traceback(tmp_path: Path) -> None:
    ended, ran = run(tmp_path, lambda: trial_that_fails(ZeroDivisionError("of nothing")))
    assert ended.code == 1
    assert (ran.status, ran.summary.as_expected) == (Status.FAILED, False)
    assert ran.summary.reason == "ZeroDivisionError: of nothing (see stderr.log)"
    assert "Traceback" in (ran.folder / "stderr.log").read_text()
    assert not ran.proof.checks
    assert not ran.provenance.is_known


def test_ctrl_c_ends_more_than_the_run(tmp_path: Path) -> None:
    ended, ran = run(tmp_path, lambda: trial_that_fails(KeyboardInterrupt()))
    assert ended.code == 130
    assert files.read_summary(ran.folder) is None
    assert "FAILED" not in ended.said, "it has not begun"
    assert "0 of 1 runs are done" in ended.said
    again(tmp_path, SMOKE, 1)


def test_ctrl_c_while_mlflow_is_imported_ends_the_command(tmp_path: Path) -> None:
    """The import makes an error of its own of it, and nothing is wrong with the store."""

    def prepare() -> None:
        def imported(_: str) -> None:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("partially initialized module") from None

        store.connect = imported  # type: ignore[assignment]

    asked = [each for each in SMOKE if each != "tracking=none"]
    ended = started.run(into(tmp_path, asked), tmp_path / "log", prepare)
    assert ended.code == 130, ended.said
    assert "cannot be used" not in ended.said
    assert "0 of 1 runs are done" in ended.said


# --- afterwards ----------------------------------------------------------------------------------


def test_a_cache_of_another_user_costs_a_note(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".cache").touch()  # a folder that cannot be used
    ended, ran = run(tmp_path, lambda: None)
    assert ended.code == 1
    assert ran.status is Status.FINISHED
    said = f"File exists: {tmp_path / 'out' / '.cache'}"
    assert problems_of(ran.folder) == {str(solo.LATEST): said}
    assert f"block: {solo.LATEST}: {said} (the measurement is complete)" in ended.lines
    again(tmp_path, SMOKE, 1)


@pytest.mark.parametrize(
    ("number", "place", "name", "times"),
    [
        (signal.SIGINT, instant, "TrialResult", 1),  # the last that a trial does
        (signal.SIGINT, instant, "TrialResult", 3),
        (signal.SIGTERM, job.TrialDisplay, "__exit__", 3),
        (signal.SIGINT, job, "summarise", 3),
        (signal.SIGHUP, files, "keep", 3),
        (signal.SIGINT, files, "write_json", 1),
        (signal.SIGINT, files, "write_json", 3),
    ],
)
def test_an_interruption_after_the_window_waits_until_the_result_is_kept(
    number: signal.Signals, place: Any, name: str, times: int, tmp_path: Path
) -> None:
    def prepare() -> None:
        before = getattr(place, name)

        def interrupted(*arguments: Any, **keywords: Any) -> Any:
            if place is not files or list(tmp_path.glob("out/*/*/config.yaml")):
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return before(*arguments, **keywords)

        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
        setattr(place, name, interrupted)

    ended, ran = run(tmp_path, prepare)
    assert ended.code == 130
    assert ran.status is Status.FINISHED, "what was measured is a result"
    assert "interrupted: what was measured is kept, 1 of 1 runs are done" in ended.said
    done = again(tmp_path, SMOKE, 1)
    assert "1 of 1 runs are there already" in done.said


def test_an_error_of_ours_after_the_record_is_a_note(tmp_path: Path) -> None:
    def prepare() -> None:
        solo.keep = raising(ZeroDivisionError("of nothing"))

    ended, ran = run(tmp_path, prepare)
    assert ended.code == 1, ended.said
    assert ran.status is Status.FINISHED
    assert "FAILED" not in ended.said
    said = "solo_times/0.json: ZeroDivisionError: of nothing (the measurement is complete)"
    assert said in ended.said


# --- solo times ----------------------------------------------------------------------------------


def test_the_first_trial_of_a_repeat_measures_solo_times_and_its_other_arms_take_them(
    tmp_path: Path,
) -> None:
    sweep = (*SMOKE, "sweep.repeats=2", "-m", "arm=native,xsched")
    ended = started.run(into(tmp_path, sweep), tmp_path / "log")
    assert ended.code == 0, ended.said
    (folder,) = (path.parent for path in tmp_path.glob("out/*/sweep.json"))
    of_repeat = [
        {run.summary.tasks["urgent"].solo_ms for run in load(folder) if run.repeat == number}
        for number in (0, 1)
    ]
    assert [len(times) for times in of_repeat] == [1, 1], "one load for both arms"
    assert of_repeat[0].isdisjoint(of_repeat[1]), "measured anew"


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "status", "proof", "expected"),
    [
        ("result", Status.FINISHED, Verdict.PROVEN, True),
        ("result", Status.FAILED, Verdict.FAILED, False),
        ("result", Status.KILLED, Verdict.INCOMPLETE, False),
        ("refusal", Status.FAILED, Verdict.FAILED, True),
        ("refusal", Status.FAILED, Verdict.INCOMPLETE, False),
        ("refusal", Status.FINISHED, Verdict.PROVEN, False),
    ],
)
def test_a_refusal_may_be_what_was_to_be_shown(
    outcome: str, status: Status, proof: Verdict, expected: bool
) -> None:
    assert resume.as_expected(outcome, Summary(name="a", status=status, proof=proof)) is expected


def test_a_device_that_is_in_use_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sweep.turns.LOCKS", tmp_path)
    with (
        job.device_lock("host", True, print),
        pytest.raises(PlatformError, match=rf"\(host\): process {os.getpid()} on .*wait=false"),
        job.device_lock("host", False, print),
    ):
        pass


# --- a repeat that another device has begun ------------------------------------------------------


def test_what_is_compared_shares_a_device_also_when_a_sweep_is_resumed(tmp_path: Path) -> None:
    arguments = [*SMOKE, "sweep.repeats=2", "-m", "arm=native,xsched"]
    first = started.run(into(tmp_path, arguments), tmp_path / "log")
    assert first.code == 0, first.said
    (folder,) = (path.parent for path in tmp_path.glob("out/*/sweep.json"))
    runs = {each.name: each.folder for each in files.read_sweep(folder).runs}
    (folder / runs["xsched-r0"] / files.SUMMARY).unlink()
    place = folder / runs["native-r0"] / files.SUMMARY
    summary = files.read_summary(place.parent)
    assert summary is not None
    assert summary.where == provenance.where("host")
    elsewhere = Where("n2", "another machine", "host")
    files.write_json(place, replace(summary, where=elsewhere))
    before = {
        name: (folder / each / files.SUMMARY).stat() for name, each in runs.items() if "r1" in name
    }
    second = started.run(into(tmp_path, arguments), tmp_path / "log2")
    assert second.code == 0, second.said
    assert (
        "native-r0 ran on host of n2, and what it is compared with runs on host of" in second.said
    )
    again = {name: files.read_summary(folder / each) for name, each in runs.items()}
    assert {each.where.machine for each in again.values() if each and each.where} == {
        provenance.where("host").machine
    }
    kept = {
        name: (folder / each / files.SUMMARY).stat() for name, each in runs.items() if "r1" in name
    }
    assert kept == before, "the other repeat is not touched"
    assert len(list((folder / files.SUPERSEDED).iterdir())) == 2
