"""What a terminal shows at any width: no name and no verdict is cut."""

import io

import pytest
from rich.console import Console

from runner.results import tables
from runner.results.expectations import NOT_MET, Finding
from runner.results.outcome import Outcome
from runner.runs.load import load
from tests.runner.results.report import made_up

WIDTHS = (60, 80, 100, 140)
#: As in a pipe, where a line is as long as it is.
PIPE = 10_000
FINDING = Finding("the urgent task stays near what it is alone", NOT_MET, 2.5, (2.2, 2.9), "≤ 1.15")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    swept = {"arm": ["native", "xsched", "xsched_null"], "xsched.threshold": ["4", "8"]}
    folder = made_up.sweep(tmp_path_factory.mktemp("sweep"), swept, repeats=3, requests=30)
    return Outcome.of(load(folder), [FINDING])


def screen(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(tables, "console", Console(file=written, width=width))
    return written


@pytest.mark.parametrize("width", [*WIDTHS, PIPE])
def test_the_end_of_a_sweep_is_a_screen_of_which_nothing_is_cut(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    written = screen(monkeypatch, width)
    tables.show(outcome)
    shown = written.getvalue()
    lines = shown.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= width
    assert "…" not in shown
    rows = [line.split()[:2] for line in lines if line.startswith((" native ", " xsched"))]
    arms = [("native", "any"), *((a, t) for a in ("xsched", "xsched_null") for t in "48")]
    assert [tuple(row) for row in rows] == arms
    whole = " ".join(shown.split())
    assert f"1 not met. Not met: {FINDING.what}." in whole
    assert "15 of 15 runs are valid" in whole


@pytest.mark.parametrize("width", [*WIDTHS, PIPE])
def test_verdicts_are_whole_at_any_width(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    written = screen(monkeypatch, width)
    assert outcome.comparison
    tables.show_comparison(outcome.comparison, everything=True)
    shown = written.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    titles = [line for line in shown.splitlines() if line.endswith("secondary figures")]
    assert len(titles) == (4 if width > 60 else len(titles))
    words = shown.split()
    assert words.count("better") == sum(row.verdict == "better" for row in outcome.comparison.rows)


def test_what_decides_is_shown_alone_unless_all_is_asked_for(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome.comparison
    for everything in (False, True):
        written = screen(monkeypatch, 140)
        tables.show_comparison(outcome.comparison, everything)
        assert ("throughput_rps" in written.getvalue()) is everything
        assert "p90_ms/priority_1 (urgent) against native" in written.getvalue()
