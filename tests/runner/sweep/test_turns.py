"""A device that another command uses: whoever shall not wait is refused before anything is written,
and whoever waits is told of it."""

import multiprocessing
import os
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.sweep import turns
from runner.sweep.turns import device_lock, seat
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


# --- several devices -----------------------------------------------------------------------------

EIGHT = [str(number) for number in range(8)]


def _job(_: int) -> tuple[str, int, float, float]:
    """The device that a job had, in which process, and when."""
    device, began = seat(Config()), time.monotonic()
    time.sleep(0.05)
    return device, os.getpid(), began, time.monotonic()


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "devices", lambda _: EIGHT)
    monkeypatch.setattr(
        turns, "shared", lambda config: SimpleNamespace(lock=f"gpu-{config.platform.device}")
    )


@pytest.mark.usefixtures("eight")
def test_64_repeats_are_spread_over_eight_devices() -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        ran = pool.map(_job, range(64), chunksize=1)
    assert set(Counter(device for device, *_ in ran)) == {*EIGHT}
    for device in EIGHT:
        mine = sorted((began, ended) for at, _, began, ended in ran if at == device)
        assert all(one[1] <= other[0] for one, other in pairwise(mine))
    homes = {(process, device) for device, process, *_ in ran}
    assert len(homes) <= 8, "a process keeps to its device, where its warm parents are"


@pytest.mark.usefixtures("eight")
def test_who_finds_no_free_device_waits_until_a_process_ends() -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(8) as others:
        assert {device for device, *_ in others.map(_job, range(64), chunksize=1)} == {*EIGHT}
        with context.Pool(1) as late:
            asked = late.apply_async(_job, (0,))
            with pytest.raises(multiprocessing.TimeoutError):
                asked.get(0.5)
            others.terminate()
            assert asked.get(10)[0] in EIGHT


def test_of_one_device_there_is_nothing_to_choose() -> None:
    config = Config()
    config.platform.name = "host"
    assert seat(config) == ""
    assert turns.on(config, "") is config
