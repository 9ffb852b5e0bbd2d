"""The machine around the GPU, which on platform host is the device itself."""

import os
import platform as system
import shutil
import sys
import tempfile
from pathlib import Path

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.machine import available_cores

CPUS = Path("/sys/devices/system/cpu")
SHARED_MEMORY = Path("/dev/shm")
MIB = 2**20
#: XSched's channels take a few MiB, logs and lock files less.
SHARED_MEMORY_MIB, TEMPORARY_MIB = 32, 100


def platform(machine: Machine) -> list[Line]:
    """Whether platform=host runs: it stops processes and waits for them as only Linux can."""
    name = "host platform"
    if missing := _missing():
        remedy = "use Linux 5.3 or newer; in a container, let its seccomp profile allow the calls"
        state = error if machine.platform is None else warning
        return [state(name, f"cannot run: no {', '.join(missing)}", remedy)]
    cores = len(available_cores())
    details = {"cores": cores, "system": system.platform()}
    found = f"can run: Linux {system.release()}, {cores} cores"
    if cores == 1:
        remedy = "give it two cores: executors share the only one with those who feed them"
        return [warning(name, "can run, on 1 core", remedy, **details)]
    return [ok(name, found, **details)]


def _missing() -> list[str]:
    if sys.platform != "linux":
        return ["Linux"]
    missing = [name for name in ("eventfd", "memfd_create") if not hasattr(os, name)]
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        missing.append("pidfd")
    return missing


def governor(machine: Machine) -> list[Line]:
    """Whether the CPU's clock follows the load."""
    name = "CPU governor"
    paths = [CPUS / f"cpu{core}/cpufreq/scaling_governor" for core in available_cores()]
    found = sorted({path.read_text().strip() for path in paths if path.exists()})
    if not found:
        return [ok(name, "not told, as usual in virtual machines")]
    if found == ["performance"]:
        return [ok(name, "performance")]
    remedy = "sudo cpupower frequency-set -g performance"
    return [warning(name, ", ".join(found), remedy)]


def load(machine: Machine) -> list[Line]:
    """Whether others use the CPU."""
    name, cores = "load", os.cpu_count() or 1
    busy = os.getloadavg()[0]
    found = f"{busy:.1f} processes at work on {cores} cores over the last minute"
    if busy > cores / 2:
        return [warning(name, found, "end what else runs, or wait until it is done")]
    return [ok(name, found)]


def space(machine: Machine) -> list[Line]:
    """Room for XSched's channels and for logs."""
    temporary = Path(tempfile.gettempdir())
    return [
        _room("shared memory", SHARED_MEMORY, SHARED_MEMORY_MIB, "docker run --shm-size=1g"),
        _room("temporary folder", temporary, TEMPORARY_MIB, "make room, or set TMPDIR"),
    ]


def _room(name: str, folder: Path, wanted_mib: int, remedy: str) -> Line:
    if not folder.is_dir():
        return warning(name, f"{folder} does not exist", f"mount it; {remedy}")
    free = shutil.disk_usage(folder).free // MIB
    found = f"{folder}, {in_units(free)} free"
    if not os.access(folder, os.W_OK):
        return warning(name, f"{folder} cannot be written", "make it writable for this user")
    if free < wanted_mib:
        return warning(name, f"{found}; {wanted_mib} MiB are wanted", remedy)
    return ok(name, found, free_mib=free)


def in_units(size_mib: int) -> str:
    return f"{size_mib // 1024} GiB" if size_mib >= 10 * 1024 else f"{size_mib} MiB"
