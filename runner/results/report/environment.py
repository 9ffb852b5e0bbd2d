"""Where the runs of a report come from, in one list; what differs between runs is said as a range
or side by side."""

from collections.abc import Iterable, Mapping, Sequence

from runner.platforms.device import DeviceOrigin
from runner.results.wording import spread
from runner.runs.record import Code, Environment
from runner.runs.run import Run

MOST_DISTINCT = 3
#: Of the libraries, those that a reader of figures asks for.
LIBRARIES = ("torch", "torchvision", "transformers", "numpy")
COMMIT_DIGITS = 12
CHECKSUM_DIGITS = 12


def environment(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and value, the value "" where nothing is known."""
    all_runs = list(runs)
    origins = [run.provenance for run in all_runs if run.provenance.is_known]
    machines = [origin.environment for origin in origins]
    ran = [run.summary for run in all_runs if run.summary.platform]
    return [
        ("platform", _distinct(f"{run.platform}, {run.place}" for run in ran)),
        ("GPU", _distinct(_gpu(origin.device) for origin in origins)),
        ("throttled", _distinct(", ".join(run.device.throttled) for run in ran)),
        ("CPU", _distinct(_cpu(machine) for machine in machines)),
        ("memory", _distinct(_with_unit(machine.memory_gib, "GiB") for machine in machines)),
        ("system", _distinct(machine.system for machine in machines)),
        ("Python", _distinct(machine.python for machine in machines)),
        ("libraries", _distinct(_libraries(machine) for machine in machines)),
        ("XSched", _distinct(_xsched(origin.device) for origin in origins)),
        ("variables", _distinct(_pairs(origin.xsched_variables) for origin in origins)),
        ("code", _distinct(_code(origin.code) for origin in origins)),
        ("load before", spread((origin.load_before.load_1min for origin in origins), ".1f")),
        ("time", _span([origin.time for origin in origins])),
    ]


def _distinct(values: Iterable[str]) -> str:
    known = [value for value in dict.fromkeys(values) if value]
    more = f" | and {len(known) - MOST_DISTINCT} more" if len(known) > MOST_DISTINCT else ""
    return " | ".join(known[:MOST_DISTINCT]) + more


def _with_unit(value: object, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"


def _cpu(machine: Environment) -> str:
    governor = f"governor {machine.governor}" if machine.governor else ""
    cores = f"{machine.cores} cores" if machine.cores else ""
    return ", ".join(filter(None, [machine.cpu, cores, governor]))


def _libraries(machine: Environment) -> str:
    versions = machine.libraries
    return ", ".join(f"{name} {versions[name]}" for name in LIBRARIES if name in versions)


def _gpu(device: DeviceOrigin) -> str:
    if device.gpu is None:
        return ""
    driver = f"driver {device.gpu.driver}" if device.gpu.driver else ""
    return ", ".join(filter(None, [device.gpu.name, driver]))


def _xsched(device: DeviceOrigin) -> str:
    """The libraries' checksums, by name."""
    sums = device.xsched_libraries
    return ", ".join(f"{name} {digest[:CHECKSUM_DIGITS]}" for name, digest in sums.items())


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _code(code: Code) -> str:
    return code.commit[:COMMIT_DIGITS] + (" and local changes" if code.commit and code.diff else "")


def _span(times: Sequence[str]) -> str:
    """First and last, to the minute."""
    if not times:
        return ""
    first, last = (moment[:16].replace("T", " ") for moment in (min(times), max(times)))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"
