"""What else must be in order on an AMD GPU: who may open it, how it is numbered, the HIP runtime
behind the shim, what the shim stands in for, and what a process may have. Nothing elsewhere."""

import os
import resource
from pathlib import Path

from runner.commands.doctor.elf import symbols
from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import installed_torch, rocm
from runner.platforms.gpu.environment import HARDWARE_QUEUES, OTHERS_OF_HIP
from runner.platforms.gpu.rocm import NoRocm
from xsched_bindings import shim
from xsched_bindings.errors import LibraryNotFound

#: Where the kernel driver puts a node for each GPU that computes.
RENDER_NODES = Path("/dev/dri")
#: Where ROCm is, or a link to one of several.
ROCM = Path("/opt/rocm")
#: The calls that launch kernels, and who makes them. Without the first nothing is scheduled.
LAUNCHES = {
    "hipLaunchKernel": "all of PyTorch's own kernels",
    "hipModuleLaunchKernel": "attention, compiled kernels, MIOpen",
    "hipExtModuleLaunchKernel": "matrix products of hipBLASLt and rocBLAS, MIOpen",
}
#: PyTorch and the libraries that it loads have about so many files with code for the GPU in them.
FILES = 65_536


def access(machine: Machine) -> list[Line]:
    """Whether this user may open the GPU at all; without that PyTorch just sees none."""
    if machine.platform is None or machine.platform.name != "hip":
        return []
    name = "device files"
    nodes = [Path(machine.platform.vendor.device_node), *sorted(RENDER_NODES.glob("renderD*"))]
    remedy = (
        "pass both into the container (--device=/dev/kfd --device=/dev/dri) and be in the groups "
        "that own them (--group-add video --group-add render, or its number: stat -c %g /dev/kfd)"
    )
    if len(nodes) == 1:
        return [error(name, f"{RENDER_NODES} has no renderD*", remedy)]
    if closed := [str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)]:
        return [error(name, f"may not be opened: {', '.join(closed)}", remedy)]
    return [ok(name, ", ".join(map(str, nodes)))]


def numbers(machine: Machine) -> list[Line]:
    """Whether the shell numbers GPUs otherwise than the runner."""
    if machine.platform is None or machine.platform.name != "hip":
        return []
    name, looked_at = "GPU numbers", (machine.platform.vendor.visible, *OTHERS_OF_HIP)
    there = [
        f"{variable}={os.environ[variable]}" for variable in looked_at if variable in os.environ
    ]
    if not there:
        return [ok(name, "as the bus has them")]
    remedy = (
        "unset them, and name the GPU by platform.device=N, its number in amd-smi list; to keep to "
        "one GPU pass that one alone into the container"
    )
    return [warning(name, f"{', '.join(there)}: not followed in trials", remedy)]


def runtime(machine: Machine) -> list[Line]:
    """The HIP runtime and comgr that PyTorch loads, which XSched is told to work over."""
    name, platform = "driver library", machine.platform
    if platform is None or not installed_torch.build().hip:
        return []  # said by the line on PyTorch
    try:
        there = platform.variables.rocm
    except NoRocm as failure:
        found, _, remedy = str(failure).partition(". ")
        return [error(name, found, remedy)]
    others = sorted(_copies() - {there.runtime.resolve(), there.comgr.resolve()})
    found = f"{there.runtime}, {there.comgr}: what PyTorch loads, one of each"
    if others:
        found += f"; not loaded: {', '.join(map(str, others))}"
    return [ok(name, found, **vars(there), not_loaded=others)]


def _copies() -> set[Path]:
    """The HIP runtimes and comgrs of this machine, where PyTorch, ROCm and the shell have them."""
    shell = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    folders = [*map(Path, shell), *(folder / "lib" for folder in ROCM.parent.glob(f"{ROCM.name}*"))]
    if torch := installed_torch.folder():
        folders.append(torch / "lib")
    names = (rocm.RUNTIME, rocm.COMGR)
    return {
        path.resolve()
        for folder in folders
        for name in names
        for path in folder.glob(f"{name}*")
        if not (folder / shim.HIP_SHIM).exists()
    }


def shims_functions(machine: Machine) -> list[Line]:
    """Whether what is preloaded stands in for the calls that launch kernels."""
    name, platform = "shim's functions", machine.platform
    if platform is None or platform.name != "hip" or not installed_torch.build().hip:
        return []
    try:
        variables = platform.environment(xsched=True)
    except (LibraryNotFound, NoRocm):
        return []  # said by others
    preloaded = [Path(each) for each in variables["LD_PRELOAD"].split(":")]
    try:
        exported = {each.name: symbols(each).exported for each in preloaded}
    except (OSError, ValueError) as failure:
        return [error(name, str(failure), "build XSched anew, on this machine")]
    missing = [call for call in LAUNCHES if not any(call in each for each in exported.values())]
    details = {
        library: sorted(each for each in names if each.startswith("hip"))
        for library, names in exported.items()
    }
    if not missing:
        return [ok(name, f"{', '.join(LAUNCHES)} by {', '.join(exported)}", exported=details)]
    found = "; ".join(f"{call} is missing ({LAUNCHES[call]})" for call in missing)
    if next(iter(LAUNCHES)) in missing:
        remedy = (
            "nothing would be scheduled: build XSched of github.com/XpuOS/xsched, with "
            "PLATFORM_HIP=ON; of a fork see that its shim still exports HIP's functions"
        )
        return [error(name, found, remedy, exported=details)]
    remedy = "such commands pass the queue, and runs of models with them are refused: docs/amd.md"
    return [warning(name, found, remedy, exported=details)]


def hardware_queues(machine: Machine) -> list[Line]:
    """For the record: streams that share one wait for each other."""
    if machine.platform is None or machine.platform.name != "hip":
        return []
    number = machine.platform.environment(xsched=False)[HARDWARE_QUEUES]
    shell = os.environ.get(HARDWARE_QUEUES)
    beside = f"; {HARDWARE_QUEUES}={shell} of the shell is not followed" if shell else ""
    found = f"{number} for a process, in every arm (platform.hardware_queues){beside}"
    return [ok("hardware queues", found)]


def open_files(machine: Machine) -> list[Line]:
    """HIP's shim keeps a file open for every binary with code that PyTorch loads."""
    if machine.platform is None or machine.platform.name != "hip":
        return []
    name, (_, hard) = "open files", resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        remedy = f"docker run --ulimit nofile={FILES}:{FILES}, or LimitNOFILE of its service"
        found = f"a process may have {hard} (ulimit -Hn), and {FILES} are wanted"
        return [warning(name, found, remedy)]
    return [ok(name, "enough" if hard == resource.RLIM_INFINITY else f"up to {hard}")]
