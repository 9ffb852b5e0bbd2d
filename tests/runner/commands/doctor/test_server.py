import json
import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runner.commands.doctor import xsched as server
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import xserver


@pytest.fixture
def running(tmp_path: Path) -> Iterator[int]:
    """A process of that name."""
    binary = tmp_path / "xserver"
    shutil.copy(shutil.which("sleep") or "sleep", binary)
    process = subprocess.Popen([binary, "60"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def none_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "process_iter", lambda *_: iter([]))


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shared memory and record of the test's own."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(server, "SHARED_MEMORY", folder)
    monkeypatch.setattr(xserver, "RECORD", tmp_path / "record.json")
    return folder


def channels(machine: Machine) -> Line:
    [line] = server.shared_memory(machine)
    return line


def test_a_running_server_is_in_the_way(with_gpu: Machine, running: int) -> None:
    [line] = server.xserver(with_gpu)
    assert line.state is State.warning
    assert str(running) in line.found
    assert "platform.server" in line.remedy
    assert running in line.details["running"]
    [line] = server.xserver(replace(with_gpu, home=None))
    assert line.state is State.warning


def test_host_does_not_mind_a_running_server(bare: Machine, running: int) -> None:
    [line] = server.xserver(bare)
    assert (line.state, str(running) in line.found) == (State.ok, True)


@pytest.mark.usefixtures("none_runs")
def test_the_binary_is_found(with_gpu: Machine, xsched: Path) -> None:
    [line] = server.xserver(with_gpu)
    assert (line.state, line.found) == (State.ok, f"{xsched}/bin/xserver, none runs")


@pytest.mark.usefixtures("none_runs")
def test_without_a_binary_only_threads_can_run(with_gpu: Machine, xsched: Path) -> None:
    (xsched / "bin" / "xserver").unlink()
    [line] = server.xserver(with_gpu)
    assert line.state is State.warning
    assert "placement threads" in line.remedy


def test_no_channels(bare: Machine, shared: Path) -> None:
    (shared / "of-others").write_text("")
    assert (channels(bare).state, channels(bare).found) == (State.ok, "none")


def test_channels_are_named_and_stay(bare: Machine, shared: Path) -> None:
    names = ["__IPC_SHM__CC_CONN__xsched-server", *(f"xsched-client-{n}" for n in range(4))]
    for name in names:
        (shared / name).write_text("")
    line = channels(bare)
    assert line.state is State.warning
    assert "__IPC_SHM__CC_CONN__xsched-server" in line.found
    assert line.found.endswith(" and 2 more")
    assert line.details["left"] == sorted(str(shared / name) for name in names)
    assert sorted(each.name for each in shared.iterdir()) == sorted(names)


def test_channels_in_use_are_no_trouble(bare: Machine, shared: Path) -> None:
    path = shared / "__IPC_SHM__QU_CONN__"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert (channels(bare).state, channels(bare).found) == (State.ok, "1 in use")
    assert channels(bare).state is State.warning


def note(runner: int, began: float | None, *paths: Path) -> None:
    record = {"runner": runner, "began": began, "shared": list(map(str, paths))}
    xserver.RECORD.write_text(json.dumps(record))


def test_what_a_runner_that_lives_noted_is_in_use(bare: Machine, shared: Path) -> None:
    path = shared / "xsched-1"
    path.write_text("")
    note(os.getpid(), psutil.Process().create_time(), path)
    assert (channels(bare).state, channels(bare).found) == (State.ok, "1 in use")


def test_what_a_killed_runner_left_is_told_and_stays(bare: Machine, shared: Path) -> None:
    path = shared / "xsched-1"
    path.write_text("")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    began = psutil.Process(ended.pid).create_time()
    ended.wait()
    note(ended.pid, began, path)
    line = channels(bare)
    assert (line.state, line.found) == (State.warning, "1 left by a runner that was killed")
    assert line.details["left"] == [str(path)]
    assert path.exists()
    assert xserver.RECORD.exists()


def test_another_process_of_the_same_number_is_not_that_runner(bare: Machine, shared: Path) -> None:
    path = shared / "xsched-1"
    path.write_text("")
    note(os.getpid(), 1.0, path)
    assert channels(bare).state is State.warning


def test_a_record_of_what_is_gone_is_no_trouble(bare: Machine, shared: Path) -> None:
    note(os.getpid(), 1.0, shared / "gone")
    assert (channels(bare).state, channels(bare).found) == (State.ok, "none")


@pytest.mark.parametrize("text", ["", "[]", '{"runner": 1}', '{"runner": "x", "shared": []}'])
def test_a_record_that_cannot_be_read_is_a_line(bare: Machine, shared: Path, text: str) -> None:
    xserver.RECORD.write_text(text)
    line = channels(bare)
    assert line.state is State.warning
    assert str(xserver.RECORD) in line.found
