"""The same sweep again, through the command, and what is left to do after a sweep was killed. Its
trials are over at once."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.proof.checks import Verdict
from runner.runs.files import read_sweep
from runner.runs.load import load
from runner.runs.record import Summary, SweepRecord
from runner.sweep import resume
from runner.sweep.plan import Planned, name
from runner.sweep.run import Ended
from runner.trial.status import Status
from tests import forked
from tests.conftest import Run, environment
from tests.faults import instant
from tests.runner.run_folders import keep
from tests.runner.sweep.made_runs import Launcher, command

SWEEP = (
    "task_set=smoke",
    "task_set.check=false",
    "task_set.requests=3",
    "tracking=none",
    "warmup=1",
)
POINTS = ("-m", "arm=native,urgent_only", "sweep.repeats=2")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        given = (*arguments, f"output_root={tmp_path / 'out'}")
        return forked.run(instant.command, *given, cwd=tmp_path, environment=environment())

    return run_command


def runs(folder: Path) -> dict[str, float]:
    """When each run of a sweep wrote its summary."""
    return {path.parent.name: path.stat().st_mtime for path in folder.glob("*/summary.json")}


def the_sweep(tmp_path: Path) -> Path:
    (only,) = (path.parent for path in (tmp_path / "out").glob("*/sweep.json"))
    return only


def test_a_finished_sweep_runs_nothing_and_an_incomplete_one_what_it_lacks(
    run: Run, tmp_path: Path
) -> None:
    first = run(*SWEEP, *POINTS)
    assert first.returncode == 0, first.stdout + first.stderr
    folder = the_sweep(tmp_path)
    before = runs(folder)
    assert len(before) == 4

    started = time.monotonic()
    again = run(*SWEEP, *POINTS)
    assert time.monotonic() - started < 20
    assert again.returncode == 0
    assert "4 of 4 runs are there already" in again.stdout
    assert runs(folder) == before

    # A killed sweep: one run has no summary, another was never started.
    lost = next(name for name in before if "-r1-" in name)
    (folder / lost / "summary.json").unlink()
    third = run(*SWEEP, *POINTS)
    assert third.returncode == 0, third.stdout + third.stderr
    assert "3 of 4 runs are there already" in third.stdout
    after = runs(folder)
    assert {name for name in before if after[name] != before[name]} == {lost}
    assert len(list((folder / "superseded").iterdir())) == 1, "nothing is deleted"
    entries = read_sweep(folder).runs
    assert {entry.status for entry in entries} == {Status.FINISHED}
    assert sorted(entry.repeat for entry in entries) == [0, 0, 1, 1]
    assert [(each.name, each.repeat) for each in load(folder)] == [
        (entry.name, entry.repeat) for entry in entries
    ]

    fresh = run(*SWEEP, *POINTS, "sweep.resume=false")
    assert fresh.returncode == 0
    assert len(list((tmp_path / "out").glob("*/sweep.json"))) == 2
    shutil.rmtree(tmp_path / "out")


def test_another_measurement_is_another_sweep(run: Run, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        assert run(*SWEEP, "arm=urgent_only", f"seed={seed}").returncode == 0
    assert len(list((tmp_path / "out").glob("*/sweep.json"))) == 2


def test_a_dry_run_shows_the_trials_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run(*SWEEP, *POINTS, "dry_run=true")
    assert done.returncode == 0, done.stderr
    for trial in ("native-r0", "native-r1", "urgent_only-r0", "urgent_only-r1"):
        assert trial in done.stdout
    assert "4 trials, about " in done.stdout
    assert "nothing was run" in done.stdout
    assert not (tmp_path / "out").exists()


def test_repeats_of_zero_are_refused(run: Run, tmp_path: Path) -> None:
    done = run(*SWEEP, "sweep.repeats=0")
    assert done.returncode == 2
    assert "sweep.repeats=0" in done.stderr
    assert not (tmp_path / "out").exists()


# --- growing, with runs that are over at once ----------------------------------------------------


@pytest.fixture
def inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sweep comes to is not asked here, and takes long."""
    monkeypatch.setattr("runner.sweep.run.conclude", lambda *_: [])


def record(end: Ended) -> SweepRecord:
    assert end.folder is not None
    return read_sweep(end.folder)


@pytest.mark.usefixtures("inconclusive")
def test_an_arm_and_two_repeats_more_run_the_new_runs_alone(tmp_path: Path) -> None:
    """24 runs: native and two thresholds of XSched, 8 repeats."""
    thresholds = "xsched.threshold=4,8"
    first, ran = command(tmp_path, "arm=native,xsched", thresholds, "sweep.repeats=8")
    assert len(ran) == 24
    assert first.folder is not None
    before = {path: path.read_bytes() for path in first.folder.glob("*/summary.json")}
    entries = record(first).runs
    grown, new = command(tmp_path, "arm=solo,native,xsched", thresholds, "sweep.repeats=10")
    assert grown.folder == first.folder
    assert len(new) == len(set(new)) == 8 + 2 * 4, "solo in eight repeats, and two whole ones"
    assert all("solo" in each or "-r8-" in each or "-r9-" in each for each in new)
    assert not set(new) & {entry.folder for entry in entries}
    assert {path: path.read_bytes() for path in before} == before
    assert record(grown).runs[:24] == entries, "their entries and commands stay"
    assert (len(record(grown).runs), record(grown).points, record(grown).repeats) == (40, 40, 10)


@pytest.mark.usefixtures("inconclusive")
def test_what_was_not_swept_at_first_is_told_of_all(tmp_path: Path) -> None:
    one, ran = command(tmp_path, "arm=native,xsched")
    assert len(ran) == 2
    more, ran = command(tmp_path, "arm=native,xsched", "xsched.threshold=8,16")
    assert (more.folder, len(ran)) == (one.folder, 1), "8 is there"
    level, ran = command(
        tmp_path, "arm=native,xsched", "xsched.threshold=16", "xsched.level=block,interrupt"
    )
    assert (level.folder, ran) == (one.folder, ["xsched-interrupt-t16-" + ran[0][-8:]])
    told = [tuple((entry.values or {}).values()) for entry in record(level).runs]
    assert record(level).swept == ("arm", "xsched.threshold", "xsched.level")
    assert told == [
        ("native", None, None),
        ("xsched", "8", "block"),
        ("xsched", "16", "block"),
        ("xsched", "16", "interrupt"),
    ]


@pytest.mark.usefixtures("inconclusive")
@pytest.mark.parametrize(
    "other",
    [
        ("xsched.batch_size=2", "arm=native,xsched"),
        ("xsched.batch_size=2", "arm=native,xsched_null"),
        ("arm=native,xsched", "warmup=3"),
    ],
)
def test_runs_that_differ_in_what_nobody_says_are_never_side_by_side(
    other: tuple[str, ...], tmp_path: Path
) -> None:
    """native is the same in all of them."""
    one, _ = command(tmp_path, "arm=native,xsched")
    apart, ran = command(tmp_path, *other)
    assert apart.folder != one.folder
    assert len(ran) == 2


@pytest.mark.usefixtures("inconclusive")
def test_ctrl_c_throws_no_finished_run_away(tmp_path: Path, capsys: Capture) -> None:
    sweep = ("arm=native,urgent_only,solo", "sweep.repeats=2")
    end, ran = command(tmp_path, *sweep, launcher=Launcher(until=4))
    assert end.exit_code == 130
    said = capsys.readouterr().out
    assert "what was measured is kept, 4 of 6 runs are done; to run the rest: python -m " in said
    again, rest = command(tmp_path, *sweep)
    assert (again.exit_code, again.folder) == (0, end.folder)
    assert len({*ran, *rest}) == 6
    assert len(rest) == 2


@pytest.mark.usefixtures("inconclusive")
def test_a_single_run_that_is_there_shows_its_table_unless_it_is_a_check(
    tmp_path: Path, capsys: Capture
) -> None:
    once = ("arm=native", "task_set.check=false")
    command(tmp_path, *once)
    capsys.readouterr()
    _, ran = command(tmp_path, *once)
    assert ran == []
    assert "saturation" in capsys.readouterr().out
    apart, ran = command(tmp_path, "arm=native", "task_set.check=true")
    assert len(ran) == 1
    assert apart.folder is not None
    assert len(list(tmp_path.glob("*/sweep.json"))) == 2


@pytest.mark.usefixtures("inconclusive")
def test_a_dry_run_tells_what_is_there(tmp_path: Path, capsys: Capture) -> None:
    command(tmp_path, "arm=native,solo")
    capsys.readouterr()
    _, ran = command(tmp_path, "arm=native,solo,xsched", "xsched.threshold=4,8", "dry_run=true")
    assert ran == []
    lines = {
        line.split()[0]: line.split()
        for line in capsys.readouterr().out.splitlines()
        if line.strip()
    }
    assert lines["native"] == ["native", "native", "any", "there"]
    assert lines["xsched-t4"][:5] == ["xsched-t4", "xsched", "4", "to", "do"]
    assert lines["4"][:3] == ["4", "trials,", "2"]


# --- parts ---------------------------------------------------------------------------------------


def planned(arm: str) -> Planned:
    config = Config()
    config.arm.name = arm
    config.task_set.tasks = {"a": TaskConfig()}
    made = Planned([f"arm={arm}"], {"arm": arm})
    made.config, made.trial = config, resolve(config)
    name([made])
    return made


POINTS_OF_TWO = [planned("native"), planned("xsched")]
DONE = Summary(name="native", status=Status.FINISHED, as_expected=True)


def test_what_earlier_attempts_left_is_never_overwritten(tmp_path: Path) -> None:
    """Also where somebody has deleted some of it."""
    for number in range(4):
        (tmp_path / POINTS_OF_TWO[0].folder).mkdir()
        (tmp_path / POINTS_OF_TWO[0].folder / "attempt").write_text(str(number))
        resume.set_aside(POINTS_OF_TWO, tmp_path)
        if number == 2:
            shutil.rmtree(tmp_path / "superseded" / f"{POINTS_OF_TWO[0].folder}-0")
    aside = {path.parent.name[-1]: path.read_text() for path in tmp_path.glob("*/*/attempt")}
    assert aside == {"0": "3", "1": "1", "2": "2"}


def test_runs_keep_the_command_that_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native, xsched = POINTS_OF_TWO
    monkeypatch.setattr(sys, "argv", ["runner", "first"])
    resume.write(POINTS_OF_TWO, POINTS_OF_TWO, {}, tmp_path, "id")
    assert {entry.status for entry in read_sweep(tmp_path).runs} == {Status.PENDING}
    resume.write(POINTS_OF_TWO, POINTS_OF_TWO, {native: DONE}, tmp_path, "id")
    monkeypatch.setattr(sys, "argv", ["runner", "second"])
    gone = Summary.failed("xsched", "its folder is gone")
    resume.write(POINTS_OF_TWO, [xsched], {native: DONE, xsched: gone}, tmp_path, "id")
    record = read_sweep(tmp_path)
    assert record.command == "python -m runner first"
    assert [(each.command, each.status, each.reason) for each in record.runs] == [
        ("python -m runner first", Status.FINISHED, ""),
        ("python -m runner second", Status.FAILED, "its folder is gone"),
    ]


def test_what_is_done_is_what_is_whole(tmp_path: Path) -> None:
    for point in POINTS_OF_TWO:
        (tmp_path / point.folder).mkdir()
        keep(tmp_path / point.folder)
    assert resume.missing(POINTS_OF_TWO, tmp_path) == []
    (tmp_path / POINTS_OF_TWO[1].folder / "events.parquet").write_bytes(b"")
    assert resume.missing(POINTS_OF_TWO, tmp_path) == [POINTS_OF_TWO[1]]
    (tmp_path / POINTS_OF_TWO[0].folder / "summary.json").write_text("[" * 100_000)
    assert resume.missing(POINTS_OF_TWO, tmp_path) == POINTS_OF_TWO


def test_what_was_meant_to_be_refused_is_no_result(tmp_path: Path) -> None:
    """Nor the other way round, whatever was meant then."""
    ended = {"refused": (Status.FAILED, Verdict.FAILED), "ran": (Status.FINISHED, Verdict.PROVEN)}
    for each, (status, proof) in ended.items():
        (tmp_path / each).mkdir()
        keep(tmp_path / each, Summary(name=each, status=status, as_expected=True, proof=proof))
    found = {
        (each, outcome): resume.result(tmp_path / each, outcome) is not None
        for each in ended
        for outcome in ("result", "refusal")
    }
    assert [each for each, good in found.items() if good] == [
        ("refused", "refusal"),
        ("ran", "result"),
    ]


@pytest.mark.parametrize("text", ["[]", "{", '{"runs": 3}', "[" * 100_000, '"text"'])
def test_a_sweep_whose_record_is_damaged_is_not_found_and_said(
    text: str, tmp_path: Path, capsys: Capture
) -> None:
    for folder in ("good", "bad"):
        (tmp_path / folder).mkdir()
        resume.write(POINTS_OF_TWO, POINTS_OF_TWO, {}, tmp_path / folder, "id")
    (tmp_path / "bad" / "sweep.json").write_text(text)
    POINTS_OF_TWO[0].config.output_root = str(tmp_path)
    assert resume.find(POINTS_OF_TWO, "id") == tmp_path / "good"
    assert resume.find(POINTS_OF_TWO, "other") is None
    assert "warning" not in capsys.readouterr().out, "none of its runs is of this sweep"
    (tmp_path / "bad" / POINTS_OF_TWO[0].folder).mkdir()
    assert resume.find(POINTS_OF_TWO, "other") is None
    assert f"{tmp_path / 'bad'} has runs of this sweep" in capsys.readouterr().out
