"""The companion of XSched's HIP shim: a preloaded library for what the shim lets past its queues.

What it does is said in ``companion.c``. It is compiled where it is used, because no wheel can know
the machine's C library, and kept in a cache.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from ctypes import CDLL, c_char_p, c_size_t, create_string_buffer
from dataclasses import dataclass
from pathlib import Path

from xsched_bindings.errors import LibraryNotFound

SOURCE = Path(__file__).with_name("companion.c")
NAME = "libhipcompanion.so"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread")
LIBRARIES = ("-ldl",)
WITHOUT = "xsched.companion=false does without it, and matrix products go past the queues."


@dataclass(frozen=True)
class Calls:
    """What became of the calls of one function on streams that have a queue, see ``companion.c``:
    queued, held (the caller waited until the queue had made the call), passed (it went past)."""

    queued: int = 0
    held: int = 0
    passed: int = 0

    def __sub__(self, other: "Calls") -> "Calls":
        return Calls(self.queued - other.queued, self.held - other.held, self.passed - other.passed)


def build(cache: Path | None = None) -> Path:
    """The library, compiled if the cache does not have it yet. cache: a folder, by default
    ``xsched-runner`` below ``XDG_CACHE_HOME`` or ``~/.cache``, or in the temporary folder where
    that cannot be written. Raises `LibraryNotFound` where there is no C compiler, or it fails."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise LibraryNotFound(
            f"A C compiler ({', '.join(COMPILERS)})",
            os.environ.get("PATH", "").split(os.pathsep),
            "It compiles the companion of XSched's HIP shim: install one (apt install gcc). "
            + WITHOUT,
        )
    library = (cache or _cache()) / _key(compiler) / NAME
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            made = Path(folder) / NAME
            command = [compiler, *FLAGS, "-o", str(made), str(SOURCE), *LIBRARIES]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = f"{' '.join(command)} said:\n{done.stderr.strip()}\n"
                raise LibraryNotFound(NAME, [library.parent], said + WITHOUT)
            made.replace(library)  # at once, for others may be doing the same
    return library


def _key(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    given = [SOURCE.read_bytes(), version, " ".join(FLAGS + LIBRARIES).encode()]
    return hashlib.sha256(b"\0".join(given)).hexdigest()[:16]


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    temporary = Path(tempfile.gettempdir()) / f"xsched-runner-{os.getuid()}"
    for folder in (home / "xsched-runner", temporary):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        # Nobody else may have put there what processes of ours are to load.
        if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == os.getuid():
            return folder
    said = "None of these folders can be written by this user alone; set XDG_CACHE_HOME to one. "
    raise LibraryNotFound(NAME, [home / "xsched-runner", temporary], said + WITHOUT)


def calls() -> dict[str, Calls] | None:
    """By function, what became of this process's calls so far; None where the companion is not
    preloaded."""
    process = CDLL(None)
    if not hasattr(process, "companion_counts"):
        return None
    counts = process.companion_counts
    counts.argtypes, counts.restype = [c_char_p, c_size_t], c_size_t
    text = create_string_buffer(1 << 16)
    counts(text, len(text))
    lines = (line.split() for line in text.value.decode().splitlines())
    return {name: Calls(*map(int, numbers)) for name, *numbers in lines}


def since(before: Mapping[str, Calls]) -> dict[str, Calls]:
    """What became of the calls after `calls` said `before`, of functions that were called."""
    now = {name: each - before.get(name, Calls()) for name, each in (calls() or {}).items()}
    return {name: each for name, each in now.items() if each != Calls()}
