"""All checks in the order of the page, and the guard around each."""

from collections.abc import Iterator
from importlib import import_module

from runner.commands.doctor.lines import Line, error
from runner.commands.doctor.machine import Machine

#: ``module:function``, imported when its turn comes: where a library is missing, the checks that
#: do without it still have their say.
CHECKS = (
    "software:libraries",
    "software:pytorch",
    "host:platform",
    "gpu:identity",
    "amd:access",
    "amd:numbers",
    "gpu:driver",
    "gpu:other_processes",
    "settings:settings",
    "gpu:mps",
    "xsched:libraries",
    "xsched:driver_library",
    "amd:shims_functions",
    "amd:hardware_queues",
    "amd:open_files",
    "shim:interception",
    "gpu:levels",
    "gpu:policies",
    "xsched:xserver",
    "xsched:shared_memory",
    "host:governor",
    "host:load",
    "store:output_folder",
    "store:tracking",
    "host:space",
)


def look(machine: Machine) -> Iterator[Line]:
    """Every check's lines, each as soon as it is known."""
    for check in CHECKS:
        yield from guarded(check, machine)


def guarded(check: str, machine: Machine) -> list[Line]:
    """The lines of one check; an exception becomes a line."""
    module, _, function = check.partition(":")
    name = function.replace("_", " ")
    try:
        found: list[Line] = getattr(import_module(f"runner.commands.doctor.{module}"), function)(
            machine
        )
    except ImportError as failure:
        found = [error(name, f"not looked at: {failure}", "install the libraries: make setup")]
    except Exception as failure:
        said = " ".join(f"{type(failure).__name__}: {failure}".split())
        remedy = "a fault of the doctor or of the machine; the other lines hold"
        found = [error(name, f"the check failed: {said}", remedy)]
    return found
