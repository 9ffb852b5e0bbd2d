"""One writer a sweep, and where its folder is."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.sweep.plan import Planned, plan
from runner.sweep.writer import check, create_folder, one_writer
from tests.runner.sweep.composed import compose

SMOKE = ("task_set=smoke", "task_set.check=false", "platform=host", "tracking=none")
SAME, OTHER = "0123456789ab", "another"


def points(root: Path, *arguments: str) -> Sequence[Planned]:
    return plan([*SMOKE, *arguments, f"output_root={root}"], compose).points


def test_two_sweeps_of_one_second_get_a_folder_each(tmp_path: Path) -> None:
    (point,) = points(tmp_path)
    folders = {create_folder(point) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() for folder in folders)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="cannot be written: Not a directory: "),
        one_writer(points(tmp_path / "file" / "below"), SAME),
    ):
        pass


def test_a_folder_is_looked_at_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(str(tmp_path / "not" / "there" / "yet"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written: Not a directory: .*/file\n"):
        check(str(tmp_path / "file" / "below"))
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)  # root may write anywhere
    with pytest.raises(UserError, match=f"cannot be written: Permission denied: {tmp_path}\n"):
        check(str(tmp_path / "new"))


def test_a_sweep_has_one_writer_and_others_have_theirs(tmp_path: Path) -> None:
    refused = ("sweep.wait=false",)
    with one_writer(points(tmp_path), SAME) as place:
        with (
            pytest.raises(UserError, match=rf"sweep.wait=false: .* by process {os.getpid()} on"),
            one_writer(points(tmp_path, *refused), SAME),
        ):
            pass
        with one_writer(points(tmp_path, *refused), OTHER) as elsewhere:
            assert elsewhere.folder != place.folder
    with one_writer(points(tmp_path, *refused), SAME) as again:
        assert (again.folder, again.is_new) == (place.folder, False)


def test_another_command_that_grows_the_same_folder_has_to_wait_too(tmp_path: Path) -> None:
    with (
        one_writer(points(tmp_path, "arm=native,solo"), SAME),
        pytest.raises(UserError, match="this sweep is being run by"),
        one_writer(points(tmp_path, "arm=xsched,native", "sweep.wait=false"), SAME),
    ):
        pass


def test_what_is_planned_is_told_before_it_is_run(tmp_path: Path) -> None:
    """So a second command finds the folder of a first that was killed at once."""
    with one_writer(points(tmp_path, "arm=native,solo"), SAME) as first:
        pass
    with one_writer(points(tmp_path, "arm=solo"), SAME) as second:
        assert second.folder == first.folder


def test_locks_are_for_all_users_of_the_machine(tmp_path: Path) -> None:
    with one_writer(points(tmp_path / "out"), SAME):
        pass
    folder = tmp_path / "out" / ".locks"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666}


def test_an_error_of_the_sweep_is_no_error_of_its_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), one_writer(points(tmp_path), SAME):
        raise FileNotFoundError
