"""XSched: its libraries, the driver's library that the shim must find behind itself, its server, of
which a machine can have one, and the shared memory that it talks through."""

import json
import os
from pathlib import Path
from typing import Any

import psutil

from runner.commands.doctor import amd
from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import xserver as server
from runner.platforms.gpu.environment import driver
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.library import checksums

#: Digits of a checksum on the screen.
SHORT = 8
SHIMS = {"cuda": ("libhalcuda.so", "libshimcuda.so"), "hip": ("libhalhip.so", "libshimhip.so")}
SHARED_MEMORY = Path("/dev/shm")
#: ``__IPC_SHM__`` is cpp-ipc's, the library behind XSched's channels; others use it, too.
OURS = ("xsched", "__IPC_SHM__")
#: Names of shared memory on the screen.
SHOWN = 3


def libraries(machine: Machine) -> list[Line]:
    """Which XSched is here; platform host brings its own."""
    name = "XSched"
    try:
        folder = machine.library_folder
    except LibraryNotFound as failure:
        return [_not_found(name, machine, failure)]
    sums = checksums(folder)
    found = f"{folder}: {', '.join(f'{file} {digits[:SHORT]}' for file, digits in sums.items())}"
    details = {"folder": str(folder), "sha256": sums}
    wanted = () if machine.platform is None else SHIMS[machine.platform.name]
    if missing := [file for file in wanted if not (folder / file).exists()]:
        make = "make hip" if "libhalhip.so" in wanted else "make cuda"
        remedy = f"build XSched for this GPU (its `{make}`)"
        return [error(name, f"{found}; without {', '.join(missing)}", remedy, **details)]
    return [ok(name, found, **details)]


def _not_found(name: str, machine: Machine, failure: LibraryNotFound) -> Line:
    _, *looked_in, remedy = [line.strip() for line in str(failure).splitlines()]
    named = machine.home or os.environ.get("XSCHED_HOME")
    found = f"not in {named}" if named else "not found"
    if machine.platform is not None:
        # An installation that is named and is not there contradicts itself.
        state = error if named else warning
        remedy += " Until then, arms without XSched run, and platform=host."
        return state(name, found, remedy, looked_in=looked_in)
    if named:
        return warning(name, f"{found}, nor needed by platform=host", remedy, looked_in=looked_in)
    return ok(name, "not found, nor needed by platform=host", looked_in=looked_in)


def driver_library(machine: Machine) -> list[Line]:
    """What does the work behind the shim."""
    name, platform = "driver library", machine.platform
    if platform is None:
        return []
    if platform.name == "hip":
        return amd.runtime(machine)
    found = driver()
    if found is None:
        remedy = (
            "add its folder to LD_LIBRARY_PATH; in a container, NVIDIA_DRIVER_CAPABILITIES must "
            "contain compute"
        )
        return [warning(name, "no libcuda.so.1 in the usual folders", remedy)]
    target = found.resolve()
    return [ok(name, f"{found} ({target.name})", path=str(found), target=str(target))]


def xserver(machine: Machine) -> list[Line]:
    """Whether placement processes has its server, and whether another one is in the way."""
    running = server.running()
    pids = ", ".join(map(str, running))
    if machine.platform is None:
        found = f"runs (process {pids}), not used by platform=host" if running else "none runs"
        return [ok(server.NAME, found, running=running)]
    if running:
        remedy = (
            "a trial in placement processes may be under way; if not, end it, or give its address "
            "as platform.server"
        )
        found = f"one runs already (process {pids}), and there can be only one"
        return [warning(server.NAME, found, remedy, running=running)]
    try:
        binary = server.binary(machine.library_folder)
    except LibraryNotFound:
        return []  # said by the libraries' check
    if not os.access(binary, os.X_OK):
        remedy = (
            "build XSched's service, or give the address of a running one as platform.server; "
            "placement threads needs none"
        )
        return [warning(server.NAME, f"{binary} cannot be run", remedy)]
    return [ok(server.NAME, f"{binary}, none runs", binary=str(binary), running=running)]


def shared_memory(machine: Machine) -> list[Line]:
    """What killed servers and clients left. Nothing is removed here."""
    name = "XSched's channels"
    noted, lines = _record(name)
    there = [each for each in _entries() if str(each) not in noted]
    left = sorted(set(there) - _mapped()) if there else []
    if not left:
        used = len(noted) + len(there)
        return lines or [ok(name, f"{used} in use" if used else "none", used=used)]
    more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    shown = ", ".join(each.name for each in left[:SHOWN])
    remedy = f"if no XSched program of another user or container runs, remove them: rm {left[0]} …"
    found = f"in {SHARED_MEMORY}, and no process shows that it uses them: {shown}{more}"
    return [*lines, warning(name, found, remedy, left=list(map(str, left)))]


def _record(name: str) -> tuple[list[str], list[Line]]:
    """Shared memory that a runner of ours noted, and a line if that runner is gone."""
    if not server.RECORD.exists():
        return [], []
    try:
        record: dict[str, Any] = json.loads(server.RECORD.read_text())
        noted = [path for path in record["shared"] if Path(path).exists()]
        alive = server.began(record["runner"]) == record["began"]
    except (OSError, ValueError, KeyError, TypeError) as failure:
        said = f"{server.RECORD} cannot be read: {failure!r}"
        return [], [warning(name, said, "remove that file if no trial runs")]
    if alive or not noted:
        return noted, []
    remedy = "nothing: the next trial that starts a server removes them"
    found = f"{len(noted)} left by a runner that was killed"
    return noted, [warning(name, found, remedy, left=noted)]


def _entries() -> list[Path]:
    try:
        there = sorted(SHARED_MEMORY.iterdir())
    except OSError:
        return []
    return [each for each in there if any(mark in each.name for mark in OURS)]


def _mapped() -> set[Path]:
    """Shared memory of all processes that show it to us."""
    pids = psutil.pids()
    return {Path(path) for pid in pids for path in server.shared_memory_of(pid, SHARED_MEMORY)}
