"""Faults at the n-th change of a folder, counted in the process that makes it: opening a file to
write, half of a write, a flush, a rename, a removal, a new folder."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: Audit events that change a folder, with the argument that says where.
CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.truncate": 0, "os.chmod": 0}
#: What a full disk does not refuse.
FREE = ("os.remove", "os.chmod", "os.truncate")


class Fault(Enum):
    """What happens at the n-th change. disk_full: at all later ones, too."""

    none = "nothing"
    killed = "killed"
    no_space = "no space, once"
    disk_full = "no space from then on"


class Injected:
    """Counts the changes below a folder and makes a fault of the n-th, in this process and for the
    rest of its life."""

    def __init__(self, root: Path, fault: Fault = Fault.none, at: int = 0) -> None:
        self._root, self._fault, self._at = f"{root}/", fault, at
        self.changes: list[str] = []
        #: Where to write the changes down, outside the folder.
        self.tell: Path | None = None

    def install(self) -> "Injected":
        sys.addaudithook(self._audited)
        flush, opened = os.fsync, Path.open

        def fsync(descriptor: int) -> None:
            self._change("flush", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            flush(descriptor)

        def open_(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
            file = opened(path, mode, *rest, **options)
            if mode.startswith("w"):
                return _Halting(file, lambda: self._change("write", str(path)))
            return file

        os.fsync, Path.open = fsync, open_  # type: ignore[method-assign,assignment]
        return self

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & WRITING:
            self._change("open", arguments[0])
        elif event in CHANGES:
            self._change(event, arguments[CHANGES[event]])

    def _change(self, kind: str, place: Any) -> None:
        if isinstance(place, int):
            place = Path(f"/proc/self/fd/{place}").readlink()
        if not os.fsdecode(place).startswith(self._root):
            return
        self.changes.append(f"{kind} {os.fsdecode(place).removeprefix(self._root)}")
        number = len(self.changes)
        if self.tell:
            with open(self.tell, "a") as listed:
                listed.write(f"{self.changes[-1]}\n")
        if self._fault is Fault.killed and number == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        full = self._fault is Fault.disk_full and number >= self._at
        if (full or (self._fault is Fault.no_space and number == self._at)) and kind not in FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(place))


class _Halting:
    """A file of which half is written when the fault comes."""

    def __init__(self, file: Any, change: Callable[[], None]) -> None:
        self._file, self._change = file, change

    def write(self, content: Any) -> int:
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._change()
        return half + int(self._file.write(content[half:]))

    def __enter__(self) -> "_Halting":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
