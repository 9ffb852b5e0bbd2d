"""Where in its sweep a run stands."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.sweep import agenda
from runner.sweep.agenda import Standing, clock, in_words, title
from runner.sweep.plan import plan
from tests.runner.sweep.composed import compose

SMOKE = ("task_set=smoke", "platform=host", "tracking=none", "sweep.order=given")
SWEEP = ("arm=native,xsched", "xsched.threshold=8,16", "sweep.repeats=2")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day in seconds, to be set."""
    times = [1000.0]
    monkeypatch.setattr("time.time", lambda: times[0])
    return times


def standing(folder: Path, number: int, minutes: list[float | None]) -> Standing:
    """Of the n-th of the runs that the minutes are of."""
    points = plan([*SMOKE, *SWEEP], compose).points[: len(minutes)]
    if not (folder / agenda.JOBS).exists():
        agenda.write(folder, points, dict(zip(points, minutes, strict=True)))
    jobs = [agenda.read(place) for place in sorted((folder / agenda.JOBS).iterdir())]
    steps = [(job, step) for job in jobs for step in job.steps]
    return Standing(*steps[number])


def test_a_run_is_told_by_what_is_swept_and_its_repeat() -> None:
    points = plan([*SMOKE, *SWEEP], compose).points
    assert [title(each) for each in points[:3]] == [
        "native · repeat 1 of 2",
        "xsched t=8 · repeat 1 of 2",
        "xsched t=16 · repeat 1 of 2",
    ]
    (only,) = plan([*SMOKE], compose).points
    assert title(only) == "xsched"


def test_what_is_left_is_as_estimated_at_first(tmp_path: Path, now: list[float]) -> None:
    first = standing(tmp_path, 0, [1.0, 2.0, 3.0])
    now[0] += 30
    assert str(first) == "1 of 3 · native · repeat 1 of 2 · 00:30, about 6 min left"


def test_and_then_as_runs_took_until_now(tmp_path: Path, now: list[float]) -> None:
    """The first was estimated at a minute and took two."""
    standing(tmp_path, 0, [1.0, 2.0, 3.0])
    now[0] += 120
    second = standing(tmp_path, 1, [1.0, 2.0, 3.0])
    now[0] += 60
    assert str(second) == "2 of 3 · xsched t=8 · repeat 1 of 2 · 03:00, about 9 min left"


def test_nothing_is_made_up(tmp_path: Path, now: list[float]) -> None:
    """A model was never timed here: until a run has ended nobody knows."""
    first = standing(tmp_path, 0, [None, None, None])
    now[0] += 120
    assert str(first) == "1 of 3 · native · repeat 1 of 2 · 02:00"
    second = standing(tmp_path, 1, [None, None, None])
    assert str(second).endswith(" · 02:00, about 4 min left")


def test_a_job_is_a_repeat_and_says_what_of_it_is_there(tmp_path: Path) -> None:
    points = plan([*SMOKE, *SWEEP, "sweep.repeats=3"], compose).points
    done = {each for each in points if each.repeat == 0 or each.arm == "native"}
    jobs = agenda.write(tmp_path, points, {each: 1.0 for each in points if each not in done})
    second, third = (agenda.read(tmp_path / job) for job in jobs)
    assert [step.there for step in second.steps] == [True, False, False]
    assert [step.config.repeat for step in third.steps] == [2, 2, 2]
    assert [step.folder for step in third.steps] == [each.folder for each in points[6:]]
    assert (second.before.runs, second.after.runs, third.before.minutes) == (0, 2, 2.0)
    assert third.steps[1].config == replace(points[7].config, repeat=2)
    agenda.clear(tmp_path, jobs)
    assert not [*tmp_path.iterdir()]


def test_a_job_knows_the_command_also_where_numbers_of_processes_occur_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (only,) = plan([*SMOKE], compose).points
    (place,) = agenda.write(tmp_path, [only], {only: None})
    job = agenda.read(tmp_path / place)
    assert job.by == agenda.process()
    monkeypatch.setattr("socket.gethostname", lambda: "another container")
    assert job.by != agenda.process()


def test_the_jobs_of_another_command_stay(tmp_path: Path) -> None:
    (only,) = plan([*SMOKE], compose).points
    mine, theirs = (agenda.write(tmp_path, [only], {only: None}) for _ in range(2))
    agenda.clear(tmp_path, mine)
    assert agenda.read(tmp_path / theirs[0]).steps[0].name == only.name


def test_times_in_words() -> None:
    assert [clock(seconds) for seconds in (5, 250, 3850)] == ["00:05", "04:10", "1:04:10"]
    told = [in_words(seconds) for seconds in (1, 44, 540, 12_600)]
    assert told == ["10 s", "40 s", "9 min", "3.5 h"]
