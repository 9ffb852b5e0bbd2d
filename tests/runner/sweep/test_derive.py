"""What is made of a run afterwards: missing parts alone, and nothing of it touches the record."""

from pathlib import Path

import pytest

from runner.runs import files
from runner.sweep.derive import derive, problems_of, reason
from tests.runner.results.report import made_up

DERIVED = {files.TRACE, files.LATENCY_CDF, files.TIMELINE}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that has just been kept."""
    return made_up.sweep(tmp_path, {"arm": ["native"]}) / "native-r0"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def measured(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files.OF_A_RUN}


def test_what_is_missing_is_made_and_the_record_is_not_touched(folder: Path) -> None:
    before = measured(folder)
    derive(folder)
    assert names(folder) == {*files.OF_A_RUN, *DERIVED}
    made = {name: (folder / name).stat().st_mtime_ns for name in DERIVED}
    (folder / files.TRACE).unlink()
    derive(folder)
    assert measured(folder) == before
    assert (folder / files.TRACE).exists()
    after = {name: (folder / name).stat().st_mtime_ns for name in DERIVED}
    assert {name for name in DERIVED if after[name] != made[name]} == {files.TRACE}


def test_what_cannot_be_made_is_noted_and_made_the_next_time(folder: Path) -> None:
    before = measured(folder)
    (folder / files.TIMELINE).mkdir()
    derive(folder, {".cache/solo.json": "Permission denied"})
    said = problems_of(folder)
    assert set(said) == {files.TIMELINE, ".cache/solo.json"}
    assert said[files.TIMELINE].startswith("Is a directory")
    assert names(folder) >= DERIVED, "one that fails keeps no other from being made"
    (folder / files.TIMELINE).rmdir()
    derive(folder)
    assert problems_of(folder) == {}
    assert names(folder) == {*files.OF_A_RUN, *DERIVED}
    assert measured(folder) == before


def test_a_run_that_failed_has_a_trace_and_no_figures(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"]}, broken=("xsched-r0",)) / "xsched-r0"
    derive(folder)
    assert names(folder) & DERIVED == {files.TRACE}


@pytest.mark.parametrize("name", [files.REQUESTS, files.SUMMARY])
def test_of_a_run_that_is_not_what_was_recorded_nothing_is_made(name: str, folder: Path) -> None:
    (folder / name).write_text("{}")
    derive(folder)
    assert not names(folder) & DERIVED
    assert problems_of(folder) == {}


def test_a_folder_that_is_gone_is_no_problem_of_this(tmp_path: Path) -> None:
    derive(tmp_path / "gone", {"a": "b"})
    assert problems_of(tmp_path / "gone") == {}
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("text", ["[]", '"x"', "{", '{"a": 1}', "[" * 100_000])
def test_a_note_that_cannot_be_read_is_none(text: str, folder: Path) -> None:
    (folder / files.PROBLEMS).write_text(text)
    assert problems_of(folder) == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/a/b"), "No space left on device: /a/b"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("no number"), "OSError: no number"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
    ],
)
def test_a_reason_is_a_line(error: Exception, said: str) -> None:
    assert reason(error) == said
