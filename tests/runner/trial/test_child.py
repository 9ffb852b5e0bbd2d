"""A process of a trial, by what it says: these tests are its parent, and its other processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.proof.checks import Interception, Verdict
from runner.trial.measured import read
from runner.trial.messages import Begin, Gather, Gathered, Go, Outcome, Ready, Role, Saying, Solo
from runner.trial.recording import Recording
from tests.conftest import environment
from tests.runner.trial import idle

REQUESTS = 5


def spec(**changes: Any) -> TrialSpec:
    config = Config()
    config.platform.name = "host"
    config.warmup = 2
    config.task_set.requests, config.task_set.lead_in_s = REQUESTS, 0
    config.task_set.tasks = {"first": TaskConfig(), "second": TaskConfig()}
    return replace(resolve(config), **changes)


MODEL = spec().tasks[0].model


class Child:
    """The process, and the memory that it writes to."""

    def __init__(self, parent: Connection, recording: Recording) -> None:
        self.parent, self.recording = parent, recording

    def until_it_waits(self) -> list[Any]:
        """All that it says until it waits for an answer, or ends; that last word, too."""
        said = []
        while not said or not isinstance(said[-1], Gather | Ready | Outcome):
            assert self.parent.poll(60), f"it says no more after {said}"
            said.append(self.parent.recv())
        return said

    def until_ready(self) -> list[Any]:
        """All that it says until it is ready or has ended; alone in its trial."""
        return self._alone(Ready)

    def to_the_end(self) -> Outcome:
        outcome: Outcome = self._alone(Outcome)[-1]
        return outcome

    def _alone(self, kind: type) -> list[Any]:
        said = self.until_it_waits()
        while not isinstance(said[-1], kind | Outcome):
            self.answer(said[-1])
            said += self.until_it_waits()
        return said

    def answer(self, waits: Gather | Ready) -> None:
        alone = Gathered([waits.value]) if isinstance(waits, Gather) else Go()
        self.parent.send(alone)


Start = Callable[..., Child]


@contextmanager
def started(
    trial: TrialSpec,
    tasks: tuple[int, ...] = (0, 1),
    number: int = 0,
    count: int = 1,
    solo: bool = True,
    fault: str = "",
) -> Iterator[Child]:
    """One process of a trial. solo: whether its model's solo time is known."""
    recording, stop_fd = Recording.create(len(trial.tasks)), os.eventfd(0)
    ours, theirs = Pipe()
    role = Role(
        number=number,
        count=count,
        tasks=list(tasks),
        cores=[],
        recording_fd=recording.fd,
        stop_fds=[stop_fd],
        fds={},
        details={"fault": fault},
    )
    process = subprocess.Popen(
        [sys.executable, "-m", idle.__name__, str(theirs.fileno())],
        pass_fds=[theirs.fileno(), recording.fd, stop_fd],
        env=environment(),
    )
    theirs.close()
    ours.send(Begin(trial, {MODEL: 0.1} if solo else {}, role))
    try:
        yield Child(ours, recording)
        assert process.wait(30) == 0, "however a trial ends, its process ends well"
    finally:
        process.kill()
        process.wait()
        recording.close()
        os.close(stop_fd)


def test_a_trial_from_the_beginning_to_the_outcome() -> None:
    with started(spec()) as child:
        said = child.until_ready()
        kinds = [type(each) for each in said]
        assert kinds == [Saying, Saying, Solo, Ready], "one process has nobody to meet"
        assert [each.text for each in said[:2]] == ["warming up first", "warming up second"]
        assert [child.recording.start_ns(task) for task in (0, 1)] == [0, 0], "before it may begin"
        assert not child.parent.poll(0.2), "it waits"
        child.parent.send(Go())
        outcome = child.to_the_end()
        assert (outcome.error, outcome.cut, outcome.proof.verdict) == ("", False, Verdict.PROVEN)
        assert [check.name for check in outcome.proof.checks] == ["level"], "of before the window"
        assert [check.name for check in outcome.found.checks] == ["server"], "the parent judges it"
        assert outcome.found.saturation == 0.5
        assert list(outcome.timing_s) == ["load", "warm_up", "calibrate", "prove", "window"]
        for task in (0, 1):
            measured, warmups = child.recording.progress(task)
            assert measured >= REQUESTS
            assert warmups >= 2
        assert child.recording.start_ns(0) == child.recording.start_ns(1) > 0


def the(kind: type, said: list[Any]) -> Any:
    (only,) = (each for each in said if isinstance(each, kind))
    return only


@pytest.mark.parametrize(("known", "measured"), [(True, {}), (False, {MODEL: idle.SOLO_S})])
def test_only_what_is_not_known_is_calibrated(known: bool, measured: dict[Any, float]) -> None:
    with started(spec(), solo=known) as child:
        assert the(Solo, child.until_ready()).seconds == measured
        child.parent.send(Go())
        assert child.to_the_end().error == ""


def test_a_failed_proof_is_the_outcome_and_nothing_is_measured() -> None:
    with started(spec(), fault=idle.PROOF) as child:
        said = child.until_ready()
        assert Ready() not in said
        assert said[-1].error == "level: nothing was suspended. Look"
        assert said[-1].proof.verdict is Verdict.FAILED
        assert child.recording.start_ns(0) == 0


def test_what_fails_in_the_set_up_is_the_outcome() -> None:
    with started(spec(), fault=idle.raises("open", RuntimeError)) as child:
        assert child.to_the_end().error == "out of luck"


def test_a_device_that_dies_in_the_window_is_the_outcome() -> None:
    with started(spec(), fault=idle.DEVICE) as child:
        outcome = child.to_the_end()
        assert outcome.error == "the device was lost"
        assert [check.name for check in outcome.proof.checks] == ["level"], "what was proven, stays"


def test_a_window_that_hits_its_limit_is_cut() -> None:
    endless = tuple(replace(task, requests=10**6) for task in spec().tasks)
    with started(spec(tasks=endless, limit_s=0.3)) as child:
        outcome = child.to_the_end()
        assert (outcome.error, outcome.cut) == ("", True)


def test_a_window_ends_by_its_duration() -> None:
    with started(spec(duration_s=0.3)) as child:
        outcome = child.to_the_end()
        assert (outcome.error, outcome.cut) == ("", False)
        assert child.recording.progress(0)[0] > REQUESTS


def test_requests_duration_and_limit_count_from_the_end_of_the_lead_in() -> None:
    endless = tuple(replace(task, requests=10**6) for task in spec().tasks)
    for trial in (
        spec(lead_in_s=0.3),
        spec(lead_in_s=0.3, duration_s=0.1),
        spec(lead_in_s=0.3, limit_s=0.1, tasks=endless),
    ):
        with started(trial) as child:
            assert child.to_the_end().error == ""
            requests = read(trial, child.recording)
        for task in requests:
            # Of 2 ms each; a busy machine makes fewer, and many a thread takes turns.
            assert 10 <= task.lead_in <= 150
            assert task.spans[0, 0] >= task.start_ns - trial.lead_in_ns > task.spans[0, 0] - 10**8
            assert len(task.completed) >= REQUESTS
            assert (task.scheduled >= 0).all()
        if trial.duration_s or trial.limit_s < 1:
            last_ns = max(int(task.completed[-1]) for task in requests)
            assert 0.09 < last_ns / 1e9 < 0.3, "without the lead-in"
        else:
            assert all(task.wanted == REQUESTS for task in requests)


def test_one_of_two_runs_its_task_and_takes_what_the_other_says() -> None:
    with started(spec(), tasks=(1,), number=1, count=2, solo=False) as child:
        *_, unsteady = child.until_it_waits()
        child.parent.send(Gathered([["first"], unsteady.value]))
        for _ in range(2):  # the other's turn, and this one's
            *_, turn = child.until_it_waits()
            assert turn == Gather(None)
            child.parent.send(Gathered([None, None]))
        *_, calibrated = child.until_it_waits()
        assert calibrated == Gather({MODEL: idle.SOLO_S})
        child.parent.send(Gathered([{MODEL: 2.0}, calibrated.value]))
        *said, turn = child.until_it_waits()
        assert the(Solo, said).seconds == {MODEL: 2.0}, "the first one's counts"
        assert turn == Gather(None), "the other's turn to be proven"
        child.parent.send(Gathered([None, None]))
        child.until_it_waits()
        child.parent.send(Gathered([None, None]))
        *_, proven = child.until_it_waits()
        assert proven == Gather([Interception("second", 1, 0)])
        child.parent.send(Gathered([[Interception("first", 1, 0)], proven.value]))
        *_, ready = child.until_it_waits()
        assert ready == Ready()
        child.parent.send(Go())
        *_, start = child.until_it_waits()
        later_ns = start.value + 1_000_000
        child.recording.writer(0).done()  # the other's task, which this one does not wait for then
        child.parent.send(Gathered([later_ns, start.value]))
        *_, cut = child.until_it_waits()
        assert cut == Gather(False)
        child.parent.send(Gathered([True, False]))
        outcome = child.to_the_end()
        assert (outcome.error, outcome.cut) == ("", True)
        assert outcome.unsteady[0] == "first"
        assert [each.task for each in outcome.proof.alone] == ["first", "second"]
        assert child.recording.start_ns(1) > later_ns
        assert (child.recording.start_ns(0), child.recording.progress(0)[0]) == (0, 0)
