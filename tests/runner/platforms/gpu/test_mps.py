"""A daemon of our own for a trial, over a fake one."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from runner.platforms.contract import PlatformError
from runner.platforms.gpu import mps as module
from runner.platforms.gpu.mps import LOGS, PIPES, MpsDaemon, answers
from tests.runner.platforms.gpu.fake_mps import FakeMps, mps

__all__ = ["mps"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where it makes its own; pytest has made its own before."""
    with tempfile.TemporaryDirectory(prefix="tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def until(look: Callable[[], str], limit_s: float = 10.0) -> str:
    """What it says as soon as it says something."""
    give_up = time.monotonic() + limit_s
    while not (said := look()) and time.monotonic() < give_up:
        time.sleep(0.01)
    return said


def left() -> list[psutil.Process]:
    """Daemons and servers; this process may have other children."""
    found = psutil.Process().children(recursive=True)
    return [p for p in found if "mps" in " ".join(p.cmdline()) or "sleep(600)" in p.cmdline()[-1]]


def test_it_lives_as_long_as_it_is_wanted(mps: FakeMps, tmp_path: Path, folders: Path) -> None:
    environment = {**os.environ}
    assert not answers(environment)
    daemon = MpsDaemon(environment, tmp_path / "mps")
    assert daemon.variables[LOGS] == str(tmp_path / "mps")
    assert Path(daemon.variables[PIPES]).parent == folders
    assert answers(environment | daemon.variables)
    assert not answers(environment), "those who do not name its folder do not meet it"
    assert daemon.trouble() == ""
    daemon.stop()
    assert not answers(environment | daemon.variables)
    assert list(folders.glob("xsched-mps-*")) == []
    assert left() == [], "its server has ended, too"
    daemon.stop()
    other = MpsDaemon(environment, tmp_path / "mps")
    assert other.variables[PIPES] != daemon.variables[PIPES]
    other.stop()


FAULTS = {
    "refuses": "nvidia-cuda-mps-control ended with code 1 (no permission for /dev/nvidia0)",
    "silent": "nvidia-cuda-mps-control does not answer (Starting control daemon)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_cannot_be_had_says_why(
    mps: FakeMps, tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    monkeypatch.setattr(module, "END_S", 0.5)
    with pytest.raises(PlatformError) as refused:
        MpsDaemon({**os.environ, "FAKE_MPS": fault}, tmp_path / "mps")
    assert str(refused.value) == FAULTS[fault]
    assert left() == []
    assert list(folders.glob("xsched-mps-*")) == []


def test_one_that_does_not_quit_is_killed_with_its_server(
    mps: FakeMps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_S", 1.0)
    MpsDaemon({**os.environ, "FAKE_MPS": "stays"}, tmp_path / "mps").stop()
    assert left() == []


def test_one_that_is_killed_is_trouble(mps: FakeMps, tmp_path: Path) -> None:
    daemon = MpsDaemon({**os.environ}, tmp_path / "mps")
    [control] = [p for p in psutil.Process().children() if "mps" in " ".join(p.cmdline())]
    [server] = control.children()
    control.kill()
    assert until(daemon.trouble).startswith("nvidia-cuda-mps-control was killed by SIGKILL")
    daemon.stop()
    server.wait(10)
