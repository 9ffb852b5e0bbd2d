"""Whether XSched sees what PyTorch launches, and the result stays right: each kind of work in a
process of its own, set up as a trial's are; and whether it sees nothing without the shim."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.commands.doctor.probe import WORKS, Seen
from runner.platforms.contract import PlatformError
from runner.platforms.gpu import installed_torch, rocm
from runner.platforms.gpu import platform as gpu
from runner.platforms.machine import lift_limit
from runner.platforms.start import fate
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.host.processes import die_with_parent

ROOT = Path(__file__).parents[3]
#: Followed by the platform, the folder of XSched's libraries and the work.
PROBE = (sys.executable, "-m", "runner.commands.doctor.probe")
#: PyTorch's first start on a machine reads gigabytes.
PATIENCE_S = 180.0
END_S = 5.0
#: Characters of a probe's log that are kept, the last ones.
LOG = 4000


@dataclass(frozen=True)
class Probe:
    """seen: what it found, None if it did not get that far. ended: how it ended then, with its last
    words. log: what it wrote to its stderr."""

    seen: Seen | None
    ended: str
    log: str

    @property
    def details(self) -> dict[str, object]:
        return (asdict(self.seen) if self.seen else {}) | {"log": self.log[-LOG:]}


def interception(machine: Machine) -> list[Line]:
    """All probes, while no trial is on the GPU."""
    platform = machine.platform
    if platform is None or not machine.usable:
        return []
    try:
        folder = machine.library_folder
    except LibraryNotFound:
        return []  # said by the libraries' check
    if not getattr(installed_torch.build(), platform.name):
        remedy = "see PyTorch above"
        return [warning("shim", "not tried: PyTorch is not built for this GPU", remedy)]
    try:
        platform.environment(xsched=True)
    except LibraryNotFound as failure:
        remedy = str(failure).splitlines()[-1]
        return [error("shim", f"{failure.name} was not found", remedy)]
    except rocm.NoRocm:
        return [warning("shim", "not tried: see the driver library", "see the driver library")]
    from runner.sweep.turns import device_lock

    lift_limit(resource.RLIMIT_NOFILE)
    try:
        with device_lock(platform.lock, wait=False, say=print):
            probes = {work: _probe(platform, folder, work, shim_in_place=True) for work in WORKS}
            return [
                *_place(platform, probes.values()),
                *(_with_shim(platform, work, probe) for work, probe in probes.items()),
                _without_shim(platform, folder),
            ]
    except PlatformError:
        remedy = "ask again when it has ended"
        return [warning("shim", "not tried: a trial runs on this GPU", remedy)]


def _place(platform: gpu.GpuPlatform, probes: Iterable[Probe]) -> list[Line]:
    """The GPU that computes must be the one that is observed."""
    info = platform.info()
    found = next((probe.seen.pci for probe in probes if probe.seen and probe.seen.pci), "")
    if info is None or not info.pci or not found:
        return []
    if fault := rocm.another_gpu(info.pci, found):
        said, _, remedy = fault.partition(". ")
        return [error("place of the GPU", said, remedy)]
    return [ok("place of the GPU", f"{found}, to AMD SMI and to HIP")]


def _with_shim(platform: gpu.GpuPlatform, work: str, probe: Probe) -> Line:
    """XSched must see every command, and the result must be right."""
    name, seen = f"shim: {work}", probe.seen
    if seen is None:
        remedy = "docs/doctor.md, 'When the probe dies'; arms without XSched run"
        return error(name, f"the probe {probe.ended}", remedy, **probe.details)
    said = f"{seen.counted} of {seen.launched} commands pass through the queue"
    try:
        if platform.name == "hip":
            rocm.of_process(map(Path, seen.libraries))
    except rocm.NoRocm as failure:
        found, _, remedy = str(failure).partition(". ")
        return error(name, found, remedy, **probe.details)
    if not seen.launched:
        remedy = (
            "nothing can be counted against, and every run is refused: see that torch.profiler "
            "shows kernels, without another profiler in the process"
        )
        return error(name, "the vendor's tracing library saw no command", remedy, **probe.details)
    if seen.counted < seen.launched:
        remedy = (
            "what passes by is not scheduled, and a run of such a model is refused: rebuild XSched "
            "for this driver, and see that nothing changes LD_LIBRARY_PATH when Python starts"
        )
        if platform.name == "hip":
            remedy += "; on AMD see docs/amd.md, 'What the shim does not see'"
        return error(name, said, remedy, **probe.details)
    if not seen.right:
        remedy = (
            "results are wrong under XSched, and every run of such a model is refused: report it, "
            "with python -m runner.doctor --bundle FILE"
        )
        return error(name, f"{said}, and the result is another one", remedy, **probe.details)
    return ok(name, f"{said}, the result is right", **probe.details)


def _without_shim(platform: gpu.GpuPlatform, folder: Path) -> Line:
    """XSched must see nothing."""
    probe = _probe(platform, folder, next(iter(WORKS)), shim_in_place=False)
    name, seen = "without the shim", probe.seen
    if seen is None:
        remedy = "nothing, if the lines above are ok: only xsched.shim=false needs this"
        return warning(name, f"the probe {probe.ended}", remedy, **probe.details)
    said = f"{seen.counted} of {seen.launched} commands pass through the queue"
    if seen.counted > 0:
        remedy = (
            "a shim is in place where none was asked for, so native arms would not be native: take "
            "it out of the loader's folders (ldconfig -p | grep -e libcuda -e libamdhip64 -e shim)"
        )
        return error(name, said, remedy, **probe.details)
    return ok(name, said, **probe.details)


def _probe(platform: gpu.GpuPlatform, folder: Path, work: str, shim_in_place: bool) -> Probe:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = platform.environment(xsched=True, shim_in_place=shim_in_place)
    command = [*PROBE, platform.name, str(folder), work]
    return run(command, {**variables, "PYTHONPATH": path}, PATIENCE_S)


def run(command: list[str], environment: dict[str, str], patience_s: float) -> Probe:
    """What a probe says, or how it ended instead, with its last words."""
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
        return _dead(f"did not end within {patience_s:.0f} s", log)
    if process.returncode:
        return _dead(fate(process.returncode), log)
    try:
        return Probe(Seen(**json.loads(said.strip().splitlines()[-1])), "", log)
    except (ValueError, TypeError, IndexError):
        return _dead("ended without a result", log)


def _dead(how: str, log: str) -> Probe:
    # At the end of a process XSched may still tell what it closes.
    said = [each for each in log.strip().splitlines() if not each.startswith("[XSCHED INFO")]
    return Probe(None, f"{how}: {said[-1].strip()}" if said else how, log)
