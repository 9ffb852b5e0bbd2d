"""Launchers that fail, hang or lose jobs: what the jobs leave is what counts."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.runs import locks
from runner.sweep import agenda, follow
from runner.sweep.follow import Lost
from runner.sweep.plan import plan
from runner.trial import interruption
from tests.runner.sweep.composed import compose

SWEEP = ("task_set=smoke", "platform=host", "tracking=none", "sweep.repeats=3")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(follow, "GONE_S", 1.0)
    monkeypatch.setattr(follow, "ASK_S", 0.1)
    points = plan([*SWEEP], compose).points
    return agenda.write(tmp_path, points, dict.fromkeys(points))


def end(folder: Path, *jobs: str) -> None:
    for job in jobs:
        agenda.end(folder / job)


def later(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def test_all_have_ended(tmp_path: Path, jobs: list[str]) -> None:
    follow.follow(lambda: end(tmp_path, *jobs), tmp_path, jobs)


def test_the_first_that_is_lost_is_not_the_end_of_the_others(
    tmp_path: Path, jobs: list[str]
) -> None:
    held = threading.Event()

    def works() -> None:
        lock = agenda.lock(tmp_path, agenda.read(tmp_path / jobs[2]))
        with locks.held(lock, False, print, across=True):
            held.set()
            time.sleep(2.5)
            end(tmp_path, jobs[2])

    def launch() -> None:
        end(tmp_path, jobs[0])
        threading.Thread(target=works).start()
        held.wait()
        raise RuntimeError("a worker was killed")

    began = time.monotonic()
    with pytest.raises(Lost, match="1 of 3 jobs were lost: RuntimeError: a worker was killed"):
        follow.follow(launch, tmp_path, jobs)
    assert agenda.ended(tmp_path / jobs[2])
    assert time.monotonic() - began > 2.5


def test_a_job_that_was_cancelled_has_not_run_all(tmp_path: Path, jobs: list[str]) -> None:
    def launch() -> None:
        end(tmp_path, *jobs[1:])
        agenda.end(tmp_path / jobs[0], interrupted=True)

    with pytest.raises(Lost, match="1 of 3 jobs were cancelled"):
        follow.follow(launch, tmp_path, jobs)


class Queue:
    """A queue that has jobs for so long."""

    def __init__(self, seconds: float) -> None:
        self.until, self.cancelled = time.monotonic() + seconds, False

    def has_jobs(self) -> bool:
        return time.monotonic() < self.until

    def cancel(self) -> None:
        self.cancelled = True


def test_a_launcher_that_waits_for_ever_is_left(tmp_path: Path, jobs: list[str]) -> None:
    queue = Queue(1.5)
    began = time.monotonic()
    with pytest.raises(Lost, match="2 of 3 jobs were lost"):
        follow.follow(lambda: (end(tmp_path, jobs[0]), time.sleep(30)), tmp_path, jobs, queue)  # type: ignore[arg-type]
    assert 2.0 < time.monotonic() - began < 20


def test_a_slurm_that_is_gone_is_not_waited_for(
    tmp_path: Path, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its launcher waits on. For a while nobody takes its silence for the end."""
    monkeypatch.setattr(follow, "SILENT_S", 1.0)
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\nexit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    began = time.monotonic()
    with pytest.raises(Lost, match="3 of 3 jobs were lost"):
        follow.follow(lambda: time.sleep(30), tmp_path, jobs, follow.Slurm("a sweep"))
    assert 1.5 < time.monotonic() - began < 20


def test_a_submission_that_takes_its_time_is_not_lost(
    tmp_path: Path, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's queue is empty until it has taken the jobs."""
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\nexit 0\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    later(2.5, lambda: end(tmp_path, *jobs))
    follow.follow(lambda: time.sleep(3), tmp_path, jobs, follow.Slurm("a sweep"))


def test_jobs_that_wait_in_the_queue_are_not_lost(tmp_path: Path, jobs: list[str]) -> None:
    later(2.5, lambda: end(tmp_path, *jobs))
    queue = Queue(3.0)
    follow.follow(lambda: time.sleep(3), tmp_path, jobs, queue)  # type: ignore[arg-type]


def test_ctrl_c_cancels_what_was_submitted(
    tmp_path: Path, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interruption, "check", asked)
    queue = Queue(30)
    with pytest.raises(KeyboardInterrupt):
        follow.follow(lambda: time.sleep(30), tmp_path, jobs, queue)  # type: ignore[arg-type]
    assert queue.cancelled
