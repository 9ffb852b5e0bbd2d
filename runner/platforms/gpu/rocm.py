"""ROCm's libraries as PyTorch has them.

A PyTorch wheel brings a HIP runtime of its own; a container's PyTorch takes that of /opt/rocm.
XSched looks in /opt/rocm/lib and system folders (``hip/hal/include/xsched/hip/hal/driver.h`` in its
``platforms``), so it must be told which runtime, and which code-object library (comgr), is the
process's. Two runtimes in one process do not know each other's streams: calls fail with error 709
(hipErrorContextIsDestroyed), or end the process.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.platforms.start import fate

RUNTIME, COMGR, COMPILER = "libamdhip64.so", "libamd_comgr.so", "libhiprtc.so"
#: Prints what a process has mapped that has imported torch; what else torch prints is no path.
PROGRAM = "import torch; print(open('/proc/self/maps').read())"
#: PyTorch's first start on a machine reads gigabytes.
PATIENCE_S = 180.0


class NoRocm(RuntimeError):
    """There is not exactly one of a library that there must be one of. The message says which, and
    what to do."""


@dataclass(frozen=True)
class Rocm:
    """The HIP runtime and the comgr of a process."""

    runtime: Path
    comgr: Path

    def beside(self, name: str) -> Path:
        """Another of ROCm's libraries, from the runtime's own folder. Raises `NoRocm`."""
        return _one(name, _beside(self.runtime, name))


def of_torch(environment: Mapping[str, str]) -> Rocm:
    """What ``import torch`` loads in a process with these variables, in which there must be no
    shim. Takes as long as the import. Raises `NoRocm`."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise NoRocm(f"PyTorch was not imported within {PATIENCE_S:.0f} s") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or [fate(done.returncode)]
        raise NoRocm(
            f"PyTorch cannot be imported: {words[0].strip()}. Install the ROCm that it was built "
            'for, or another PyTorch, until python -c "import torch" works'
        )
    return of_process(mapped(done.stdout))


def here() -> Rocm:
    """What this process has. Raises `NoRocm`."""
    return of_process(mapped(Path("/proc/self/maps").read_text()))


def another_gpu(asked: str, found: str) -> str:
    """What is wrong if the GPU that AMD SMI means by a number is not the one that HIP means by it,
    and what to do; "" if they are the same. Both are PCI addresses."""
    if asked.lower() == found.lower():
        return ""
    return (
        f"the number of the GPU means {asked} to AMD SMI, which observes it, and {found} to HIP, "
        "which computes. Give the number under which python -m runner.doctor --device N finds them "
        "the same, as platform.device=N, or pass one GPU alone into the container"
    )


def mapped(maps: str) -> list[Path]:
    """The shared libraries in a text of /proc/<pid>/maps, each once, sorted."""
    lines = (line.split(maxsplit=5) for line in maps.splitlines())
    files = {Path(line[5]) for line in lines if len(line) == 6 and line[5].startswith("/")}
    return sorted(file for file in files if ".so" in file.name)


def of_process(libraries: Iterable[Path]) -> Rocm:
    """What a process has that has loaded these. A comgr that it will load when it needs one is that
    beside its runtime. Raises `NoRocm`."""
    libraries = list(libraries)
    runtime = _one(RUNTIME, named(RUNTIME, libraries))
    return Rocm(runtime, _one(COMGR, named(COMGR, libraries) or _beside(runtime, COMGR)))


def named(name: str, libraries: Iterable[Path]) -> list[Path]:
    """Those of that name, whatever version follows it."""
    return [library for library in libraries if library.name.startswith(name)]


def _beside(runtime: Path, name: str) -> list[Path]:
    """One at the most: without a version, if it is there so."""
    return sorted(runtime.parent.glob(f"{name}*"))[:1]


def _one(name: str, found: Sequence[Path]) -> Path:
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoRocm(
            f"no {name} is there. Use a PyTorch that is built for ROCm, with the ROCm that it was "
            "built for"
        )
    raise NoRocm(
        f"{len(found)} copies of {name} in one process: {', '.join(map(str, found))}. Of two HIP "
        "runtimes each knows its own streams only (error 709). Leave one: take the other's folder "
        "out of LD_LIBRARY_PATH and LD_PRELOAD, or use a PyTorch that brings no ROCm of its own"
    )
