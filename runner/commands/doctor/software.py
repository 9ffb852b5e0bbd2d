"""Python, the libraries that the project declares, and the build of PyTorch."""

import importlib.metadata
import platform

from packaging.requirements import Requirement

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.commands.project import requirements
from runner.platforms.gpu import installed_torch


def libraries(machine: Machine) -> list[Line]:
    """All but PyTorch are there, in the versions that the project was made for."""
    name = "Python libraries"
    wanted = [each for each in _requirements() if each.name != "torch"]
    versions = {each.name: _version(each.name) for each in wanted}
    details = {"python": platform.python_version(), **versions}
    if missing := [each for each, version in versions.items() if version is None]:
        return [error(name, f"missing: {', '.join(missing)}", "make setup", **details)]
    if wrong := [
        f"{each.name} {versions[each.name]} ({each.specifier} is wanted)"
        for each in wanted
        if not _suits(each, versions[each.name])
    ]:
        remedy = "make setup, or go on: nothing was tried with these versions"
        return [warning(name, ", ".join(wrong), remedy, **details)]
    found = f"Python {platform.python_version()}, all {len(wanted)} in the declared versions"
    return [ok(name, found, **details)]


def pytorch(machine: Machine) -> list[Line]:
    """It is there, and built for the GPU that is."""
    name, build = "PyTorch", installed_torch.build()
    if not build.version:
        return [error(name, "not installed", "make setup")]
    details = vars(build)
    built_for = [f"{kind} {details[kind]}" for kind in ("cuda", "hip") if details[kind]]
    found = f"{build.version}, built for {' and '.join(built_for) or 'the CPU alone'}"
    if machine.platform is not None and not details[machine.platform.name]:
        vendor = machine.platform.vendor.name
        remedy = (
            f"install PyTorch's build for {vendor} GPUs (pytorch.org, Get Started), or set "
            "platform=host"
        )
        return [error(name, f"{found}, and there is an {vendor} GPU", remedy, **details)]
    [wanted] = [each for each in _requirements() if each.name == "torch"]
    if not _suits(wanted, build.version):
        remedy = "make setup, or go on: nothing was tried with this version"
        return [warning(name, f"{found}; {wanted.specifier} is wanted", remedy, **details)]
    return [ok(name, found, **details)]


def _requirements() -> list[Requirement]:
    found = [Requirement(line) for line in requirements()]
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _suits(wanted: Requirement, version: str | None) -> bool:
    return version is not None and wanted.specifier.contains(version, prereleases=True)
