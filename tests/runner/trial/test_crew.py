"""The parent's side of a trial, over processes that only talk."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from models import ModelSpec
from runner.platforms.contract import WindowFindings
from runner.proof.checks import Check, Proof
from runner.proof.marks import Marks
from runner.trial import interruption, limits
from runner.trial.crew import Crew, Lost
from runner.trial.messages import Gather, Outcome, Ready, Saying, Solo
from runner.trial.recording import Recording
from tests.runner.trial.scripted import (
    FOREVER,
    Die,
    Mumble,
    Pause,
    ScriptedPlatform,
    two_tasks,
)

#: Comparable: not a number, the default, is not equal to itself.
DONE = Outcome(Proof(), found=WindowFindings(saturation=1.0))
MODEL, OTHER = ModelSpec("bert_mini"), ModelSpec("bert_tiny")


class Heard:
    """Progress that keeps what is said. on: what happens at a word, or at `nothing`."""

    def __init__(self, **on: Callable[[], None]) -> None:
        self.said: list[str] = []
        self.on = on

    def say(self, text: str) -> None:
        self.said.append(text)
        self.on.get(text, lambda: None)()

    def show(self, recording: Recording) -> None:
        self.on.get("nothing", lambda: None)()


Passes = Callable[[float], Callable[[], None]]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """What makes so many seconds pass."""
    clock = time.monotonic

    def after(seconds: float) -> Callable[[], None]:
        return lambda: monkeypatch.setattr(time, "monotonic", lambda: clock() + seconds)

    return after


@pytest.fixture
def recording() -> Iterator[Recording]:
    made = Recording.create(2)
    yield made
    made.close()


Follow = Callable[..., Outcome]


@pytest.fixture
def follow(recording: Recording, tmp_path: Path) -> Follow:
    """Follow processes with these scripts to the end of their trial, after which none is left."""

    def run(
        *scripts: list[object] | None,
        heard: Heard | None = None,
        known: dict[ModelSpec, float] | None = None,
        before_window: Callable[[], None] = lambda: None,
        trouble: str = "",
    ) -> Outcome:
        platform = ScriptedPlatform(*scripts, trouble=trouble)
        known, heard, pids = {} if known is None else known, heard or Heard(), []
        try:
            with Crew(two_tasks(), platform, recording, tmp_path, known, heard) as crew:
                pids = crew.pids
                assert len(pids) == len(scripts)
                return crew.run(before_window)
        finally:
            assert not any(map(psutil.pid_exists, pids))

    return run


def test_a_trial_goes_from_its_beginning_to_its_outcome(follow: Follow) -> None:
    heard, known = Heard(), {MODEL: 0.5}
    script = [Saying("warming up"), Solo({OTHER: 0.25}), Ready(), DONE]
    outcome = follow(script, heard=heard, known=known, before_window=lambda: heard.say("window"))
    assert outcome == DONE
    assert known == {MODEL: 0.5, OTHER: 0.25}
    begins = f"0 begins {two_tasks().config_hash} { {MODEL: 0.5} }"
    assert heard.said == [begins, "warming up", "window", "measuring", "was told Go()"]


def test_a_process_that_dies_in_the_set_up(follow: Follow) -> None:
    with pytest.raises(Lost, match=r"^the trial's process ended with code 3 \(.*its last words\)$"):
        follow([Die(3)])


def test_a_process_that_is_killed(follow: Follow) -> None:
    with pytest.raises(Lost, match="was killed by SIGKILL"):
        follow([Ready(), Die(-signal.SIGKILL)])


def test_one_of_two_dies_while_the_other_waits_for_it(follow: Follow) -> None:
    with pytest.raises(Lost, match="the process of task second ended with code 1"):
        follow([Gather(0), FOREVER], [Die(1)])


def test_what_a_process_died_of_is_the_better_reason(follow: Follow) -> None:
    with pytest.raises(Lost, match=r"^the server has died$"):
        follow([Die(1)], trouble="the server has died")


def test_what_the_platform_runs_is_looked_after_while_nobody_speaks(follow: Follow) -> None:
    with pytest.raises(Lost, match=r"^the server has died$"):
        follow([FOREVER], trouble="the server has died")


def test_a_set_up_that_does_not_end(follow: Follow, passes: Passes) -> None:
    with pytest.raises(Lost, match=r"^the set-up did not end within 900 s \(building\)$"):
        follow([Saying("building"), FOREVER], heard=Heard(building=passes(901)))


def test_the_window_has_a_limit_of_its_own(follow: Follow, passes: Passes) -> None:
    in_time = Heard(measuring=passes(limits.SET_UP_S + 60))
    assert follow([Ready(), Pause(1.5), DONE], heard=in_time) == DONE
    late = Heard(measuring=passes(3600))
    with pytest.raises(Lost, match="the window did not end within 1021 s"):
        follow([Ready(), FOREVER], heard=late)


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("signals_as_before")
def test_an_interruption_ends_a_trial_where_it_is_waited_for(follow: Follow) -> None:
    interruption.listen()
    heard = Heard(measuring=ctrl_c)
    with interruption.deferred(), pytest.raises(KeyboardInterrupt):
        follow([Ready(), FOREVER], heard=heard)


@pytest.mark.usefixtures("signals_as_before")
def test_an_outcome_that_is_there_goes_before_an_interruption(follow: Follow) -> None:
    interruption.listen()

    def late() -> None:
        ctrl_c()
        time.sleep(1.0)  # meanwhile the trial ends

    with interruption.deferred():
        assert follow([Ready(), Pause(1.5), DONE], heard=Heard(nothing=late)) == DONE


def test_a_message_that_does_not_end(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_S", 1)
    with pytest.raises(Lost, match="fell silent in the middle of a message for 1 s"):
        follow([Mumble(), FOREVER])


def test_a_process_that_cannot_be_started_takes_the_others_with_it(follow: Follow) -> None:
    mine = psutil.Process()
    before = mine.children()
    with pytest.raises(Lost, match="a process of the trial could not be started"):
        follow([FOREVER], None)
    assert mine.children() == before


def test_two_meet_and_hear_each_other_in_their_order(follow: Follow) -> None:
    heard = Heard()
    slow, quick = [Pause(0.2), Gather("a"), Gather(1)], [Gather("b"), Gather(2)]
    follow([*slow, Ready(), DONE], [*quick, Ready(), DONE], heard=heard)
    for told in ("Gathered(values=['a', 'b'])", "Gathered(values=[1, 2])", "Go()"):
        assert heard.said.count(f"was told {told}") == 2


def test_the_window_waits_until_both_are_ready(follow: Follow) -> None:
    heard = Heard()
    follow(
        [Ready(), DONE],
        [Pause(0.2), Saying("at last"), Ready(), DONE],
        heard=heard,
        before_window=lambda: heard.say("window"),
    )
    assert heard.said.count("window") == 1
    assert heard.said.index("at last") < heard.said.index("window")


def test_an_error_of_one_ends_the_trial(follow: Follow) -> None:
    error = replace(DONE, error="out of memory")
    assert follow([FOREVER], [error]) == error
    assert follow([Ready(), FOREVER], [Ready(), error]) == error


def test_the_outcome_of_the_trial_is_the_first_ones_when_all_have_ended(follow: Follow) -> None:
    first, second = (replace(DONE, timing_s={"window": s}) for s in (1.0, 2.0))
    assert follow([Pause(0.2), first], [second]) == first
    assert follow([first], [Pause(0.2), second]) == first


def test_the_outcome_of_the_trial_has_the_marks_of_all_in_their_order(follow: Follow) -> None:
    first, second = (
        replace(DONE, found=WindowFindings((Marks(n, 1, 1, np.array([at]), np.array([])),)))
        for n, at in (("first", 7), ("second", 5))
    )
    outcome = follow([Pause(0.2), first], [second])
    assert isinstance(outcome, Outcome)
    assert [(each.task, each.at_ns.tolist()) for each in outcome.found.marks] == [
        ("first", [7]),
        ("second", [5]),
    ]


def test_the_outcome_of_the_trial_has_the_checks_of_all_each_once(follow: Follow) -> None:
    """A call that went past the second process's queue; one server says the same to both."""
    server = Check("server", True, "as it was")
    calls = [Check("calls in the window", passed, "calls") for passed in (True, False)]
    first, second = (replace(DONE, found=WindowFindings(checks=(one, server))) for one in calls)
    outcome = follow([first], [second])
    assert isinstance(outcome, Outcome)
    assert outcome.found.checks == (calls[0], server, calls[1])
