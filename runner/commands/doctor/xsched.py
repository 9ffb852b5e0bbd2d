"""XSched's libraries, and the driver's library that the shim must find behind itself."""

import os

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import platform as gpu
from xsched_bindings.errors import LibraryNotFound

#: Digits of a checksum on the screen.
SHORT = 8
SHIMS = {"cuda": ("libhalcuda.so", "libshimcuda.so"), "hip": ("libhalhip.so", "libshimhip.so")}


def libraries(machine: Machine) -> list[Line]:
    """Which XSched is here; platform host brings its own."""
    name = "XSched"
    try:
        folder = machine.library_folder
    except LibraryNotFound as failure:
        return [_not_found(name, machine, failure)]
    sums = gpu.checksums(folder)
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
        path = gpu.torch_library("libamdhip64.so")
        return [ok(name, f"{path} (PyTorch's own)" if path else "libamdhip64.so of ROCm")]
    found = gpu.driver()
    if found is None:
        remedy = (
            "add its folder to LD_LIBRARY_PATH; in a container, NVIDIA_DRIVER_CAPABILITIES must "
            "contain compute"
        )
        return [warning(name, "no libcuda.so.1 in the usual folders", remedy)]
    target = found.resolve()
    return [ok(name, f"{found} ({target.name})", path=str(found), target=str(target))]
