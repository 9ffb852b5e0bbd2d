"""Locks between processes, and between the users of a machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from runner.runs import locks
from runner.runs.locks import Owner, Taken, held
from runner.trial import interruption
from tests.conftest import environment

HOLD = """
import sys, time
from pathlib import Path
from runner.runs.locks import held

with held(Path(sys.argv[1]), False, print):
    print("held", flush=True)
    time.sleep(60)
"""
NOBODY = 65534


def silent(owner: Owner) -> None: ...


@contextmanager
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_holds_it_is_said_to_whoever_does_not_wait(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as process:
        with pytest.raises(Taken) as taken, held(tmp_path / "lock", False, silent):
            pass
        owner = taken.value.owner
        assert (owner.host, owner.pid) == (os.uname().nodename, process.pid)
        assert owner.boot == Owner.me().boot
        assert str(taken.value).startswith(f"process {process.pid} on {owner.host}, since ")


def test_a_lock_ends_with_its_owner_however_that_ends(tmp_path: Path) -> None:
    said: list[Owner] = []

    def say(owner: Owner) -> None:
        said.append(owner)
        os.kill(owner.pid, signal.SIGKILL)

    with holder(tmp_path / "lock") as process, held(tmp_path / "lock", True, say):
        assert [owner.pid for owner in said] == [process.pid]


def test_an_owner_that_has_ended_is_nobody(tmp_path: Path) -> None:
    """As where this one cannot be written down: the disk is full, or it is somebody else's."""
    path = tmp_path / "lock"
    with holder(path) as process:
        before = path.read_bytes()
        process.kill()
        process.wait()
        with held(path, True, silent):
            path.write_bytes(before)
            with pytest.raises(Taken, match="somebody"), held(path, False, silent):
                pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff" * 5000])
def test_a_lock_whose_owner_cannot_be_read_is_somebody_s(content: bytes, tmp_path: Path) -> None:
    with held(tmp_path / "lock", True, silent):
        (tmp_path / "lock").write_bytes(content)
        with pytest.raises(Taken, match="somebody"), held(tmp_path / "lock", False, silent):
            pass


def test_it_can_be_taken_again_once_it_was_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), held(tmp_path / "lock", False, silent):
            raise RuntimeError


def test_a_child_that_is_forked_does_not_hold_it(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with held(tmp_path / "lock", False, silent):
        child = os.fork()
        if not child:
            os.write(theirs, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(ours, 1)
    try:
        with held(tmp_path / "lock", False, silent):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.usefixtures("signals_as_before")
def test_whoever_waits_can_be_interrupted(tmp_path: Path) -> None:
    interruption.listen()
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    with (
        held(tmp_path / "lock", False, silent),
        pytest.raises(KeyboardInterrupt),
        held(tmp_path / "lock", True, silent),
    ):
        pass


def test_a_place_without_the_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), held(tmp_path / "gone" / "lock", False, silent):
        pass


def test_every_user_may_take_a_new_one_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with held(tmp_path / "lock", False, silent):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize(("mode", "said"), [(0o666, ""), (0o644, ""), (0o600, "PermissionError")])
def test_another_user_s_file_in_a_folder_for_all(
    tmp_path_factory: pytest.TempPathFactory, mode: int, said: str
) -> None:
    """As in /tmp, where the kernel refuses to create what is there already. Tests that do not run
    as root meet their own file."""
    folder = tmp_path_factory.mktemp("all")
    folder.chmod(0o1777)
    (folder / "lock").touch()
    (folder / "lock").chmod(mode)
    expected = said if os.getuid() == 0 else ""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if _tried_by_nobody(folder) == expected else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _tried_by_nobody(folder: Path) -> str:
    """What happens to another user who takes the lock, and then once more."""
    os.chdir(folder)  # before: folders above it are for one user
    if os.getuid() == 0:
        os.setuid(NOBODY)
    path = Path("lock")
    try:
        with held(path, False, silent), pytest.raises(Taken), held(path, False, silent):
            pass
    except PermissionError:
        return "PermissionError"
    return ""


# --- a folder that several machines see ----------------------------------------------------------


def elsewhere(path: Path) -> Owner:
    """Somebody on another machine has signed the lock, and this folder's server tells no locks."""
    owner = Owner("n2", 17, "another boot", "2026-01-01T00:00:00+00:00")
    path.write_bytes(msgspec.json.encode(owner))
    return owner


def test_who_touches_it_on_another_machine_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SILENT_S", 1.5)
    path, said = tmp_path / "lock", list[Owner]()
    owner = elsewhere(path)
    touches = [threading.Timer(after, path.touch) for after in (0.5, 1.0, 1.5)]
    for each in touches:
        each.start()
    assert locks.alive(path)
    with pytest.raises(Taken, match="process 17 on n2"), held(path, False, silent, across=True):
        pass
    began = time.monotonic()
    with held(path, True, said.append, across=True):
        assert time.monotonic() - began > 1.5, "it is silent for so long"
    assert said == [owner]
    assert path.read_bytes() == b"", "who leaves it says so"


def test_who_died_on_another_machine_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SILENT_S", 0.5)
    path = tmp_path / "lock"
    elsewhere(path)
    with held(path, False, silent, across=True):
        assert locks.alive(path)
    assert not locks.alive(path)


def test_its_holder_touches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TOUCH_S", 0.05)
    with held(tmp_path / "lock", False, silent, across=True):
        os.utime(tmp_path / "lock", (1, 1))
        time.sleep(0.5)
        assert (tmp_path / "lock").stat().st_mtime > 1


@pytest.mark.parametrize("here", [True, False])
def test_who_is_in_another_container_of_this_machine_is_not_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    """One boot, another host: its process number is somebody else's here."""
    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: told.append(pid))
    path, me = tmp_path / "lock", Owner.me()
    with held(path, False, silent):
        owner = replace(me, pid=me.pid + 1, host=me.host if here else "a container")
        path.write_bytes(msgspec.json.encode(owner))
        locks.interrupt(path)
    assert told == ([owner.pid] if here else [])


def test_a_lock_that_was_cleared_away_while_somebody_waited_is_nobody_s(tmp_path: Path) -> None:
    """Whoever waited has the file that is there then, so that no third one has another."""
    path, inside = tmp_path / "lock", threading.Event()
    leave = threading.Event()

    def wait_and_hold() -> None:
        with held(path, True, silent):
            inside.set()
            leave.wait(20)

    with held(path, False, silent):
        waiting = threading.Thread(target=wait_and_hold)
        waiting.start()
        time.sleep(0.3)
        path.unlink()
    assert inside.wait(10)
    try:
        with pytest.raises(Taken), held(path, False, silent):
            pass
        assert locks.alive(path)
    finally:
        leave.set()
        waiting.join()
