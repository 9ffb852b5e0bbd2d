import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.proof.checks import Verdict
from runner.runs.record import Figure, Summary, TaskSummary
from runner.sweep import display
from runner.trial.recording import Recording
from runner.trial.status import Status

SUMMARY = Summary(
    name="block-t4",
    status=Status.FINISHED,
    proof=Verdict.PROVEN,
    saturation=0.914,
    preemptions=146,
    window_s=40.9,
    notes=("mind this",),
    as_expected=True,
    folder="/out/run",
    tasks={
        "high-1": TaskSummary(priority=3, requests=29, wanted=30),
        "lost": TaskSummary(priority=1, wanted=30),
    },
    figures={
        "p50_ms/high-1": Figure(1.25),
        "p99_ms/high-1": Figure(2.5),
        "max_ms/high-1": Figure(3.0),
        "throughput_rps/high-1": Figure(0.731),
        "p50_ms/priority_3": Figure(1.25),
        "p99_ms/priority_3": Figure(2.5),
    },
)
FAILED = replace(Summary.failed("block-t8", "why"), folder="/f")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=written, width=110))
    return written


def test_a_run_shows_tasks_saturation_preemptions_and_notes(screen: io.StringIO) -> None:
    display.show_run(SUMMARY)
    shown = screen.getvalue()
    for words in ("proven", "saturation 0.91", "146 preemptions", "window 40.9 s", "/out/run"):
        assert words in shown
    assert "mind this" in shown
    lines = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert lines["high-1"] == ["high-1", "3", "29/30", "1.2", "2.5", "3.0", "0.73", "proven"]
    none = ["–", "–", "–", "0.00"]
    assert lines["lost"] == ["lost", "1", "0/30", *none, "proven"], "without requests no figures"


def test_a_failed_run_shows_the_reason_and_no_figures(screen: io.StringIO) -> None:
    display.show_run(replace(FAILED, reason="level: not in effect"))
    assert "FAILED block-t8" in screen.getvalue()
    assert "level: not in effect" in screen.getvalue()
    assert "29/30" not in screen.getvalue()


def test_a_refusal_that_was_expected_is_no_failure(screen: io.StringIO) -> None:
    display.show_run(replace(FAILED, as_expected=True))
    assert "REFUSED, as expected block-t8" in screen.getvalue()
    display.show_run(replace(SUMMARY, as_expected=False))
    assert "a refusal was expected, and there is a result" in screen.getvalue()


def test_a_sweep_shows_one_row_a_run(screen: io.StringIO) -> None:
    display.show_sweep(["xsched.threshold"], [(["4"], SUMMARY), (["8"], FAILED)])
    lines = [line for line in screen.getvalue().splitlines() if "block-t" in line]
    assert lines[0].split() == ["block-t4", "4", "1.2", "2.5", "–", "–", "146", "0.91", "proven"]
    assert lines[1].split() == ["block-t8", "8", "–", "–", "–", "–", "–", "–", "FAILED"]
    assert "priority 3" in screen.getvalue()
    assert "priority 1" in screen.getvalue()


def test_an_interrupted_run_shows_what_there_is(screen: io.StringIO) -> None:
    killed = replace(
        SUMMARY, status=Status.KILLED, proof=Verdict.INCOMPLETE, preemptions=None, saturation=None
    )
    display.show_run(killed)
    display.show_sweep([], [([], killed)])
    shown = screen.getvalue()
    assert "KILLED block-t4" in shown
    assert "saturation – · – preemptions" in shown
    assert "29/30" in shown
    assert "a refusal was expected" not in shown
    row = next(line.split() for line in shown.splitlines() if line.split()[-1:] == ["KILLED"])
    assert row == ["block-t4", "1.2", "2.5", "–", "–", "–", "–", "KILLED"]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_names_every_task(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    written = io.StringIO()
    console = Console(file=written, width=110, force_terminal=terminal)
    monkeypatch.setattr(display, "console", console)
    monkeypatch.setattr(display, "PLAIN_EVERY_S", -1)
    config = Config()
    config.task_set.tasks = {"a": TaskConfig(), "b": TaskConfig()}
    recording = Recording.create(2, capacity=10)
    writer = recording.writer(0)
    writer.start(1)
    writer.record(1, 1, 5_000_001)
    with display.TrialDisplay(resolve(config), "block-t4") as progress:
        progress.wait("waiting for another trial")
        assert "waiting for another trial" in written.getvalue(), "at once"
        assert re.search(r"(?<!block-t4)  waiting for another trial *\n", written.getvalue()), (
            "in a line that stays"
        )
        progress.say("measuring")
        progress.show(recording)
    shown = written.getvalue()
    assert "block-t4" in shown
    assert "measuring" in shown
    assert "1 of 30" in shown
    assert "0 of 30" in shown
    assert ("5.0" in shown) is terminal


def test_a_task_that_stands_still_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    written, now = io.StringIO(), [1000.0]
    monkeypatch.setattr(display, "console", Console(file=written, width=110))
    monkeypatch.setattr(display, "PLAIN_EVERY_S", -1)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    config = Config()
    config.task_set.tasks = {"fast": TaskConfig(requests=3), "slow": TaskConfig(requests=3)}
    recording = Recording.create(2, capacity=10)
    fast, slow = recording.writer(0), recording.writer(1)
    with display.TrialDisplay(resolve(config), "block-t4") as progress:
        progress.say("measuring")
        progress.show(recording)
        now[0] += 100
        progress.show(recording)  # the window has not begun
        for each in (fast, slow):
            each.start(1)
        fast.record(1, 1, 2)
        now[0] += 60
        progress.show(recording)
    assert [line.strip() for line in written.getvalue().splitlines()[2:]] == [
        "measuring: fast 0 of 3, slow 0 of 3",
        "measuring: fast 1 of 3, slow 0 of 3 for 60 s",
    ]


def awaited(name: str, minutes: float | None, done: bool = False) -> display.Awaited:
    return display.Awaited(name, ["4"], minutes, done)


def test_an_outlook_tells_what_is_there_and_how_long_the_rest_takes(screen: io.StringIO) -> None:
    runs = [awaited("block-t4", None, done=True), awaited("block-t8", 3.25)]
    display.show_plan(display.Outlook(["xsched.threshold"], runs, "six_bert-1"))
    lines = [line.split() for line in screen.getvalue().splitlines() if line.strip()]
    assert lines[0] == ["run", "threshold", "minutes"]
    assert ["block-t4", "4", "there"] in lines
    assert ["block-t8", "4", "to", "do", "3.2"] in lines
    said = "2 trials, 1 there in six_bert-1, 1 to do, about 3 min; nothing was run"
    assert " ".join(lines[-1]) == said


def test_of_a_model_that_was_never_timed_it_is_told_what_depends_on_it(screen: io.StringIO) -> None:
    outlook = display.Outlook([], [awaited("block", None)], "", ["bert_base"], {10: 2.1, 100: 20.8})
    display.show_plan(outlook)
    said = " ".join(screen.getvalue().split())
    assert "1 trial, about 2 min at 10 ms, 21 min at 100 ms that a request of bert_base" in said
    assert outlook.minutes == 2.1
