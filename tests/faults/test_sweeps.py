"""Whole sweeps with a fault, and the same command again: nothing is lost and nothing half true."""

import shutil
from pathlib import Path

import pytest

from runner.runs.load import load
from tests.faults import campaign, whole
from tests.faults.faults import Fault, Injected
from tests.faults.started import run, start
from tests.faults.sweeps import SMOKE, again, broken_at, into


def at(one_run: list[str], kind: str, name: str) -> int:
    """The number of the first change of this kind to a file of this name."""
    return next(n for n, each in enumerate(one_run, 1) if each.startswith(kind) and name in each)


@pytest.mark.parametrize(
    ("fault", "kind", "name"),
    [
        (Fault.killed, "write", "requests.parquet"),
        (Fault.killed, "os.rename", "summary.json"),
        (Fault.no_space, "write", "summary.json"),
        (Fault.disk_full, "os.mkdir", ".cache"),
    ],
    ids=str,
)
def test_a_sweep_that_was_broken_is_completed(
    fault: Fault, kind: str, name: str, one_run: list[str], tmp_path: Path
) -> None:
    broken_at(tmp_path, fault, at(one_run, kind, name), SMOKE, 1)


def test_a_second_start_waits_and_has_nothing_left_to_run(tmp_path: Path) -> None:
    told, log = tmp_path / "told", tmp_path / "second"
    first = start(into(tmp_path, SMOKE), tmp_path / "first", lambda: campaign.lasting_until(told))
    campaign.until(lambda: list((tmp_path / "out").glob("*/*/config.yaml")))
    waiting = start(into(tmp_path, SMOKE), log)
    says = f"is being run by process {first.pid} on "
    campaign.until(lambda: log.exists() and says in log.read_text())
    told.touch()
    second = waiting.wait()
    assert "1 of 1 runs are there already" in second.said
    assert (first.wait().code, second.code) == (0, 0)
    assert not list((tmp_path / "out").glob("*/superseded"))


def test_a_second_start_that_does_not_wait_is_refused(tmp_path: Path) -> None:
    campaign.refused(tmp_path)


def test_a_run_whose_folder_vanished_has_failed(tmp_path: Path) -> None:
    out, told = tmp_path / "out", tmp_path / "told"
    process = start(into(tmp_path, SMOKE), tmp_path / "log", lambda: campaign.lasting_until(told))
    campaign.until(lambda: list(out.glob("*/*/config.yaml")))
    (place,) = (path.parent for path in out.glob("*/*/config.yaml"))
    shutil.rmtree(place)
    told.touch()
    ended = process.wait()
    assert ended.code == 1, ended.said
    assert "its folder is gone" in ended.said
    (vanished,) = load(place.parent)
    assert "its folder is gone" in vanished.summary.reason, "sweep.json knows it, too"
    again(tmp_path, SMOKE, 1)


def test_the_requests_of_another_run_are_noticed_and_it_is_run_again(tmp_path: Path) -> None:
    assert run(into(tmp_path), tmp_path / "log").code == 0
    campaign.damaged(tmp_path, "requests.parquet", campaign.DAMAGES["of another run"])


# --- sweeps that grow ----------------------------------------------------------------------------

FIRST, MORE = (*SMOKE, "arm=native,xsched"), (*SMOKE, "arm=native,urgent_only")


def test_two_commands_that_grow_one_folder_take_turns(tmp_path: Path) -> None:
    told, log = tmp_path / "told", tmp_path / "second"
    first = start(into(tmp_path, FIRST), tmp_path / "first", lambda: campaign.lasting_until(told))
    campaign.until(lambda: list((tmp_path / "out").glob("*/*/config.yaml")))
    waiting = start(into(tmp_path, MORE), log)
    campaign.until(lambda: log.exists() and "waiting for its end" in log.read_text())
    told.touch()
    assert (first.wait().code, waiting.wait().code) == (0, 0)
    assert "1 of 2 runs are there already" in log.read_text()
    whole.all_whole(tmp_path / "out", 3)


def test_a_sweep_that_was_killed_while_it_grew_has_lost_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(into(tmp_path, (*SMOKE, "arm=native")), tmp_path / "log").code == 0
    before = whole.results(out)
    killed = Injected(out, Fault.killed, at=8).install
    assert run(into(tmp_path, MORE), tmp_path / "log", killed).code == -9
    after = whole.results(out)
    assert {place: after[place] for place in before} == before
    again(tmp_path, MORE, 2)
