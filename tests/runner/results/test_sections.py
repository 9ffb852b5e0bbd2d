from dataclasses import replace
from pathlib import Path

import pytest

from runner.results.points import points_of
from runner.results.sections import points_table
from runner.runs.load import load
from runner.runs.run import Run
from tests.runner.results.report import made_up


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, ...]:
    return load(made_up.sweep(tmp_path, {"arm": ["native"]}, repeats=3, requests=5)).runs


def noted(runs: tuple[Run, ...], *notes: list[str]) -> str:
    """What the table says below its only row."""
    made = [
        replace(run, summary=replace(run.summary, notes=tuple(each)))
        for run, each in zip(runs, notes, strict=True)
    ]
    (line,) = points_table(points_of(made), None)
    return line.below


def test_notes_that_differ_in_numbers_alone_are_one(runs: tuple[Run, ...]) -> None:
    notes: tuple[list[str], ...] = ["3 of 50 late: high-1"], ["4 of 50 late: high-1"], []
    assert noted(runs, *notes) == "3 of 50 late: high-1 (2 of 3 runs, alike)"


def test_names_with_digits_are_no_numbers(runs: tuple[Run, ...]) -> None:
    notes: tuple[list[str], ...] = ["late: high-1", "late: high-2"], [], []
    assert noted(runs, *notes) == "late: high-1 (1 of 3 runs); late: high-2 (1 of 3 runs)"


def test_what_makes_a_run_invalid_comes_first_and_many_notes_are_cut(
    runs: tuple[Run, ...],
) -> None:
    notes = ["a", "b", "c", "not valid: d"]
    said = noted(runs, notes, notes, notes)
    assert said == "not valid: d (3 of 3 runs); a (3 of 3 runs); b (3 of 3 runs); and 1 more"


def test_nothing_to_know_is_no_row(runs: tuple[Run, ...]) -> None:
    assert noted(runs, [], [], []) == ""
