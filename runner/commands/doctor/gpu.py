"""The GPU: who it is, who else uses it, and what XSched can do on it."""

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu.management.base import foreign, own_pids
from runner.platforms.gpu.management.open import count
from runner.platforms.gpu.mps import unavailable
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.gpu.vendors import VENDORS
from runner.platforms.kinds.host import HostPlatform


def identity(machine: Machine) -> list[Line]:
    """Which GPU a trial would use. None is no error: platform=host needs none."""
    name, platform = "GPU", machine.platform
    if platform is None:
        reasons = [GpuPlatform(each).no_gpu() for each in VENDORS]
        return [ok(name, "none, so platform=host will be used", looked_for=reasons)]
    vendor = platform.vendor
    if machine.gpu is None:
        found = f"{vendor.device_node} is there, but {machine.no_gpu}"
        if machine.usable:
            remedy = (
                "set ROCM_PATH to ROCm's folder, the one with share/amd_smi in it; until then runs "
                "do not say what the GPU's clocks were, nor who else used it"
            )
            return [warning(name, f"{found}; platform={platform.name} will be used", remedy)]
        remedy = f"put the {vendor.name} driver in order; until then, platform=host"
        return [error(name, found, remedy)]
    info = machine.gpu.info()
    there = count(vendor.key)
    known = [info.name, info.architecture, info.uuid, f"number {info.index} of {there}"]
    found = f"{', '.join(filter(None, known))}; platform={platform.name} will be used"
    return [ok(name, found, count=there, **vars(info))]


def driver(machine: Machine) -> list[Line]:
    if machine.gpu is None:
        return []
    return [ok("driver", machine.gpu.info().driver or "the driver does not tell its version")]


def other_processes(machine: Machine) -> list[Line]:
    """Whether the GPU is ours alone."""
    if machine.gpu is None:
        return []
    name = "GPU processes"
    others = foreign(machine.gpu.processes(), own_pids())
    if not others:
        return [ok(name, "none, as far as the driver shows them")]
    memory = ("memory unknown" if p.memory_mib is None else f"{p.memory_mib} MiB" for p in others)
    shown = [f"{p.name or 'unknown'} ({p.pid}, {m})" for p, m in zip(others, memory, strict=True)]
    remedy = "end them, or wait: a run beside them says that the GPU was not its own"
    return [warning(name, ", ".join(shown), remedy, processes=[vars(each) for each in others])]


def mps(machine: Machine) -> list[Line]:
    """Whether processes share the GPU at the same time or by turns; either is fine."""
    platform = machine.platform
    if platform is None or platform.name != "cuda":
        return []
    if platform.mps_runs():
        return [ok("MPS", "a daemon runs: placement processes uses it, platform.mps=off does not")]
    if reason := unavailable():
        return [ok("MPS", f"{reason}: processes take turns on the GPU")]
    return [ok("MPS", "a daemon of its own is started for every trial in placement processes")]


def levels(machine: Machine) -> list[Line]:
    """What a suspended queue can be kept from, by the placement of the workers."""
    name, platform = "preemption levels", machine.platform
    if platform is None:
        names = [level.name for level in HostPlatform(1).levels("threads", "trap")]
        return [ok(name, f"{', '.join(names)} (platform=host)", threads=names)]
    if not machine.usable:
        return []
    threads = [level.name for level in platform.levels("threads", "trap")]
    found = ", ".join(threads)
    if platform.name == "hip":
        return [ok(name, found, threads=threads)]
    tsg = [level.name for level in platform.levels("processes", "tsg")]
    if more := [level for level in tsg if level not in threads]:
        how = "in placement processes with xsched.cuda_lv3=tsg, beside other tasks,"
        found += f"; {how} also {', '.join(more)}"
    return [ok(name, found, threads=threads, processes_tsg=tsg)]


def policies(machine: Machine) -> list[Line]:
    """Those whose effect a trial can prove; others are refused."""
    platform = HostPlatform if machine.platform is None else machine.platform
    return [ok("policies", f"{', '.join(platform.policies)}: those that a run can prove")]
