import io
from typing import Any

import pytest
from rich.console import Console

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.sweep import display
from runner.trial.recording import Recording

SUMMARY: dict[str, Any] = {
    "name": "block-t4",
    "status": "FINISHED",
    "reason": "",
    "proof": "proven",
    "saturation": 0.914,
    "preemptions": 146,
    "window_s": 40.9,
    "notes": ["mind this"],
    "as_expected": True,
    "folder": "/out/run",
    "tasks": {
        "high-1": {
            "priority": 3,
            "requests": 29,
            "wanted": 30,
            "latency_ms": {"p50": 1.25, "p99": 2.5, "max": 3.0},
            "throughput_rps": 0.731,
        },
        "lost": {
            "priority": 1,
            "requests": 0,
            "wanted": 30,
            "latency_ms": {},
            "throughput_rps": 0.0,
        },
    },
    "priorities": {"3": {"latency_ms": {"p50": 1.25, "p99": 2.5}}},
}
FAILED = {
    "name": "block-t8",
    "status": "FAILED",
    "reason": "why",
    "as_expected": False,
    "priorities": {},
    "folder": "/f",
}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=written, width=110))
    return written


def test_a_run_shows_tasks_saturation_preemptions_and_notes(screen: io.StringIO) -> None:
    display.show_run(SUMMARY)
    shown = screen.getvalue()
    for words in ("29/30", "1.2", "0.73", "proven", "saturation 0.91", "146 preemptions"):
        assert words in shown
    assert "mind this" in shown
    assert "–" in shown, "a task without requests has no figures"


def test_a_failed_run_shows_the_reason_and_no_figures(screen: io.StringIO) -> None:
    display.show_run(FAILED | {"reason": "level: not in effect"})
    assert "FAILED block-t8" in screen.getvalue()
    assert "level: not in effect" in screen.getvalue()
    assert "29/30" not in screen.getvalue()


def test_a_refusal_that_was_expected_is_no_failure(screen: io.StringIO) -> None:
    display.show_run(FAILED | {"as_expected": True})
    assert "REFUSED, as expected block-t8" in screen.getvalue()
    display.show_run(SUMMARY | {"as_expected": False})
    assert "a refusal was expected, and there is a result" in screen.getvalue()


def test_a_sweep_shows_one_row_a_run(screen: io.StringIO) -> None:
    display.show_sweep(["xsched.threshold"], [(["4"], SUMMARY), (["8"], FAILED)])
    lines = [line for line in screen.getvalue().splitlines() if "block-t" in line]
    assert lines[0].split() == ["block-t4", "4", "1.2", "2.5", "146", "0.91", "proven"]
    assert lines[1].split() == ["block-t8", "8", "–", "–", "–", "–", "FAILED"]


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
        progress.say("measuring")
        progress.show(recording)
    shown = written.getvalue()
    assert "block-t4" in shown
    assert "measuring" in shown
    assert "1/30" in shown
    assert "0/30" in shown
    assert ("5.0" in shown) is terminal
