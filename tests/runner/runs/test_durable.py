"""Files that are whole or not there; at every step of writing one, tests/faults/test_writer.py."""

from pathlib import Path

import pytest

from runner.runs import durable


def test_a_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    for content in (b"one", b"another, longer", b""):
        durable.write(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").read_bytes() == content
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(IsADirectoryError):
        durable.write(tmp_path / "a.json", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        durable.write(tmp_path / "gone" / "a.json", b"content")
    with pytest.raises(FileNotFoundError, match="gone"):
        durable.sync(tmp_path / "gone")


def test_folders_and_files_can_be_flushed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("by somebody else")
    durable.sync(tmp_path / "a")
    durable.sync(tmp_path)
