"""The user's own configuration files, in the folder of the sweep that was made of them."""

from pathlib import Path

import pytest

from runner.config.files import FileConfigSource
from runner.sweep import sources


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = {"task_set/x.yaml": b"name: x\n", "experiment/x.yaml": b"# why\n"}
    monkeypatch.setattr(FileConfigSource, "used", files)
    return files


def kept(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_they_are_kept_as_they_were_read(used: dict[str, bytes], tmp_path: Path) -> None:
    sources.keep(tmp_path)
    sources.keep(tmp_path)
    assert kept(tmp_path) == {f"conf/{name}": content for name, content in used.items()}


def test_what_was_changed_since_does_not_take_their_place(
    used: dict[str, bytes], tmp_path: Path
) -> None:
    sources.keep(tmp_path)
    before = kept(tmp_path)
    used["experiment/x.yaml"] = b"# another reason\n"
    for _ in range(2):
        sources.keep(tmp_path)
    changed = {f"conf-2/{name}": content for name, content in used.items()}
    assert kept(tmp_path) == before | changed


def test_a_sweep_of_the_projects_files_alone_keeps_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileConfigSource, "used", {})
    sources.keep(tmp_path)
    assert not list(tmp_path.iterdir())
