import re
from dataclasses import replace
from pathlib import Path

import pytest

from runner.results.report.points import group
from runner.results.report.sections import points_table
from runner.runs.load import load
from runner.runs.record import RunRecord
from tests.runner.results.report import made_up


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    return load([made_up.sweep(tmp_path, {"arm": ["native"]}, repeats=3, requests=5)])


def noted(records: list[RunRecord], *notes: list[str]) -> str:
    """What the table says below its only row."""
    made = [
        replace(record, summary=record.summary | {"notes": each})
        for record, each in zip(records, notes, strict=True)
    ]
    found = re.search(r'<tr class="below"><td[^>]*>([^<]*)', points_table(group(made), None))
    return found[1] if found else ""


def test_notes_that_differ_in_numbers_alone_are_one(records: list[RunRecord]) -> None:
    notes: tuple[list[str], ...] = ["3 of 50 late: high-1"], ["4 of 50 late: high-1"], []
    assert noted(records, *notes) == "3 of 50 late: high-1 (2 of 3 runs, alike)"


def test_names_with_digits_are_no_numbers(records: list[RunRecord]) -> None:
    notes: tuple[list[str], ...] = ["late: high-1", "late: high-2"], [], []
    assert noted(records, *notes) == "late: high-1 (1 of 3 runs); late: high-2 (1 of 3 runs)"


def test_what_makes_a_run_invalid_comes_first_and_many_notes_are_cut(
    records: list[RunRecord],
) -> None:
    notes = ["a", "b", "c", "not valid: d"]
    said = noted(records, notes, notes, notes)
    assert said == "not valid: d (3 of 3 runs); a (3 of 3 runs); b (3 of 3 runs); and 1 more"


def test_nothing_to_know_is_no_row(records: list[RunRecord]) -> None:
    assert noted(records, [], [], []) == ""
