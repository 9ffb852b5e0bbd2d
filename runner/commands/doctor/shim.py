"""Whether XSched sees what PyTorch launches: one kernel, in a process set up as a trial's are; and
whether it sees nothing where the shim is absent."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.contract import PlatformError
from runner.platforms.gpu import platform as gpu
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.host.processes import die_with_parent

ROOT = Path(__file__).parents[3]
#: Followed by the platform and the folder of XSched's libraries.
PROBE = (sys.executable, "-m", "runner.commands.doctor.probe")
#: PyTorch's first start on a machine reads gigabytes.
PATIENCE_S = 180.0
END_S = 5.0


@dataclass(frozen=True)
class Counted:
    """Kernels that a probe launched, and by how many its queue's count grew."""

    launched: int
    counted: int

    def __str__(self) -> str:
        return f"{self.counted} of {self.launched}"


def interception(machine: Machine) -> list[Line]:
    """Two probes, while no trial is on the GPU."""
    platform = machine.platform
    if platform is None or isinstance(machine.gpu, str):
        return []
    try:
        folder = machine.library_folder
    except LibraryNotFound:
        return []  # said by the libraries' check
    try:
        platform.environment(xsched=True)
    except LibraryNotFound as failure:
        remedy = str(failure).splitlines()[-1]
        return [error("shim", f"{failure.name} is not in {folder}", remedy)]
    if not getattr(gpu.torch_build(), platform.name):
        remedy = "see PyTorch above"
        return [warning("shim", "not tried: PyTorch is not built for this GPU", remedy)]
    from runner.sweep.job import device_lock  # brings Hydra

    try:
        with device_lock(platform.lock, wait=False, say=print):
            return [_probed(platform, folder, there) for there in (True, False)]
    except PlatformError:
        remedy = "ask again when it has ended"
        return [warning("shim", "not tried: a trial runs on this GPU", remedy)]


def _probed(platform: gpu.GpuPlatform, folder: Path, shim_in_place: bool) -> Line:
    """With the shim XSched must see every kernel, and without it none."""
    name = "shim" if shim_in_place else "without the shim"
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = platform.environment(xsched=True, shim_in_place=shim_in_place)
    command = [*PROBE, platform.name, str(folder)]
    seen = run(command, {**variables, "PYTHONPATH": path}, PATIENCE_S)
    if isinstance(seen, str) and shim_in_place:
        remedy = "docs/doctor.md, 'When the probe dies'; arms without XSched run"
        return error(name, f"the probe {seen}", remedy)
    if isinstance(seen, str):
        remedy = "nothing, if the line above is ok: only xsched.shim=false needs this"
        return warning(name, f"the probe {seen}", remedy)
    said = f"kernels pass through the queue: {seen}"
    remedy = ""
    if shim_in_place and seen.counted < seen.launched:
        remedy = (
            "XSched would schedule nothing here, and every run with it is refused: rebuild it for "
            "this driver, and see that nothing changes LD_LIBRARY_PATH when Python starts"
        )
    elif not shim_in_place and seen.counted > 0:
        remedy = (
            "a shim is in place where none was asked for, so native arms would not be native: take "
            "it out of the loader's folders (ldconfig -p | grep -e libcuda -e shim)"
        )
    return error(name, said, remedy, **vars(seen)) if remedy else ok(name, said, **vars(seen))


def run(command: list[str], environment: dict[str, str], patience_s: float) -> Counted | str:
    """What a probe says; how it ended instead, with its last words."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,
    )
    try:
        said, log = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        log = ""
        # A driver can keep even a killed process.
        with suppress(subprocess.TimeoutExpired):
            _, log = process.communicate(timeout=END_S)
        return f"did not end within {patience_s:.0f} s{_last_words(log)}"
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return f"was killed by {name}{_last_words(log)}"
    if process.returncode > 0:
        return f"ended with code {process.returncode}{_last_words(log)}"
    try:
        return Counted(**json.loads(said.strip().splitlines()[-1]))
    except (ValueError, TypeError, IndexError):
        return f"ended without a result{_last_words(log)}"


def _last_words(log: str) -> str:
    # At the end of a process XSched may still tell what it closes.
    lines = [line for line in log.strip().splitlines() if not line.startswith("[XSCHED INFO")]
    return f": {lines[-1].strip()}" if lines else ""
