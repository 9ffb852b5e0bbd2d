"""Who is at something: locks of the whole machine, for all of its users.

A lock ends with the process that holds it, however that ends. Not every network folder tells its
clients of each other's locks. So whoever holds one in a folder that several machines may see
(`across`) touches its file now and then, and another machine waits until that has stopped.
"""

import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from runner.trial import interruption

LOOK_S = 0.2
#: How often the file is touched, and after how long without that its owner is taken for dead.
TOUCH_S, SILENT_S = 2.0, 20.0
#: Every user of the machine must be able to take it, whatever the umask of the first one.
MODE = 0o666
BOOT = Path("/proc/sys/kernel/random/boot_id")
#: Descriptors of the locks that this process holds. A child that is forked would hold them, too.
_HELD: set[int] = set()


def _let_go() -> None:
    for descriptor in [*_HELD]:
        _close(descriptor)


os.register_at_fork(after_in_child=_let_go)


@dataclass(frozen=True)
class Owner:
    """Who holds a lock. boot: which start of the machine; "" where that is not told. doing: what
    for, "" where the lock says it."""

    host: str = ""
    pid: int = 0
    boot: str = ""
    since: str = ""
    doing: str = ""

    @classmethod
    def me(cls, doing: str = "") -> Self:
        boot = ""
        with suppress(OSError):
            boot = BOOT.read_text().strip()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), os.getpid(), boot, since, doing)

    def __str__(self) -> str:
        if not self.pid:
            return "somebody"
        doing = f" ({self.doing})" if self.doing else ""
        return f"process {self.pid}{doing} on {self.host}, since {self.since[11:16]} UTC"


class Taken(Exception):
    """Somebody else holds the lock, and nobody wants to wait."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(str(owner))
        self.owner = owner


@contextmanager
def held(
    path: Path,
    wait: bool,
    say: Callable[[Owner], object],
    doing: str = "",
    across: bool = False,
) -> Iterator[None]:
    """Hold the lock of that file. If somebody has it: wait, having said who, or raise `Taken`.
    doing: what others are told. across: whether other machines may see the file, too.

    Raises OSError where the file can neither be opened nor made."""
    descriptor = _taken(path, wait, say)
    try:
        if across:
            _await_other_machines(descriptor, wait, say)
        _sign(descriptor, Owner.me(doing))
        with _touching(descriptor) if across else nullcontext():
            yield
    finally:
        _close(descriptor)


def _taken(path: Path, wait: bool, say: Callable[[Owner], object]) -> int:
    """A descriptor of the file that is there, locked: while somebody waited it may have been
    cleared away, and another one made."""
    while True:
        descriptor = _open(path)
        _HELD.add(descriptor)
        try:
            if not _take(descriptor):
                owner = _owner(descriptor)
                if not wait:
                    raise Taken(owner)
                say(owner)
                while not _take(descriptor):
                    interruption.check()
                    time.sleep(LOOK_S)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)


def alive(path: Path) -> bool:
    """Whether somebody is at a lock of a folder that several machines may see. Of one on another
    machine that is told by its file's age, by the clock of the folder's machine."""
    try:
        descriptor = _open(path)
    except OSError:
        return False
    try:
        if not _take(descriptor):
            return True
        touched = os.fstat(descriptor).st_mtime
        elsewhere = _owner_elsewhere(descriptor) is not None
        return elsewhere and time.time() - touched < SILENT_S
    finally:
        _close(descriptor)


def interrupt(path: Path) -> None:
    """Tell whoever holds the lock to end, if that is a process of this machine."""
    with suppress(OSError, ValueError):
        owner, me = msgspec.json.decode(path.read_bytes(), type=Owner), Owner.me()
        here = (owner.boot, owner.host) == (me.boot, me.host)  # containers have one boot
        if here and owner.pid != os.getpid() and alive(path):
            os.kill(owner.pid, signal.SIGTERM)


def _await_other_machines(descriptor: int, wait: bool, say: Callable[[Owner], object]) -> None:
    """Whoever holds it on another machine shows that by touching the file. Clocks differ, so what
    counts is whether that goes on."""
    owner = _owner_elsewhere(descriptor)
    touched, since = os.fstat(descriptor).st_mtime_ns, time.monotonic()
    said = False
    while owner is not None and time.monotonic() - since < SILENT_S:
        interruption.check()
        time.sleep(LOOK_S)
        if (latest := os.fstat(descriptor).st_mtime_ns) != touched:
            if not wait:
                raise Taken(owner)
            if not said:
                say(owner)
            touched, since, said = latest, time.monotonic(), True
        owner = _owner_elsewhere(descriptor)


def _owner_elsewhere(descriptor: int) -> Owner | None:
    """Who holds it on another machine, or has died there; None if nobody does."""
    owner = _owner(descriptor)
    return owner if owner.pid and owner.boot != Owner.me().boot else None


@contextmanager
def _touching(descriptor: int) -> Iterator[None]:
    """Touch the file now and then, and leave it empty."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(TOUCH_S):
            with suppress(OSError):
                os.utime(descriptor)

    thread = threading.Thread(target=touch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            os.ftruncate(descriptor, 0)


def _open(path: Path) -> int:
    """Open before create: what another user has made in a folder for all must not be created. What
    must not be written can be locked all the same."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, MODE)
        with suppress(OSError):  # somebody else has made it meanwhile
            os.fchmod(descriptor, MODE)
        return descriptor


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, owner: Owner) -> None:
    """Say who holds it; not on a full disk, and not in a file that must not be written."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(owner), 0)


def _owner(descriptor: int) -> Owner:
    """Who said that they hold it; unknown if that was somebody who has ended since."""
    try:
        said = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Owner)
    except (OSError, ValueError):
        return Owner()
    me = Owner.me()
    here = (said.host, said.boot) == (me.host, me.boot)
    return Owner() if here and not Path(f"/proc/{said.pid}").exists() else said


def _close(descriptor: int) -> None:
    _HELD.discard(descriptor)
    with suppress(OSError):
        os.close(descriptor)
