"""A device that another command uses: whoever shall not wait is refused before anything is written,
and whoever waits is told of it."""

import os
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.sweep.turns import device_lock
from tests.runner.sweep.made_runs import command


@pytest.fixture(autouse=True)
def _locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr("runner.sweep.turns.LOCKS", tmp_path / "locks")


def test_who_shall_not_wait_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with (
        device_lock("host", True, print, "theirs-1"),
        pytest.raises(UserError) as error,
    ):
        command(tmp_path / "out", "platform.wait=false")
    assert str(error.value).startswith(
        "platform.wait=false: another command uses this device (host): "
        f"process {os.getpid()} (theirs-1) on "
    )
    assert "leave platform.wait=false out" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_free_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end, ran = command(tmp_path / "out", "platform.wait=false")
    assert (end.exit_code, len(ran)) == (0, 1)
    assert "another command" not in capsys.readouterr().out


def test_who_takes_turns_is_told_once_for_all_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with device_lock("host", True, print, "theirs-1"):
        end, ran = command(tmp_path / "out", "arm=native,solo", "sweep.repeats=2")
    assert (end.exit_code, len(ran)) == (0, 4)
    said = capsys.readouterr().out
    assert said.count("another command uses this device (host): process ") == 1
    assert "(theirs-1)" in said
    assert "take turns" in said
