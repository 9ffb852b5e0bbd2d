"""Where the runs of a report come from, in one list; what differs between runs is said as a range
or side by side."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from runner.runs.record import RunRecord

MOST_DISTINCT = 3
#: Of the libraries, those that a reader of figures asks for.
LIBRARIES = ("torch", "torchvision", "transformers", "numpy")
COMMIT_DIGITS = 12
CHECKSUM_DIGITS = 12


def environment(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Name and value, the value "" where nothing is known."""
    origins = [origin for record in records if (origin := _origin(record))]
    machines = [origin.get("environment", {}) for origin in origins]
    return [
        ("platform", _distinct(f"{r.platform}, {r.placement}" for r in records if r.platform)),
        ("GPU", _distinct(_gpu(origin.get("device", {})) for origin in origins)),
        ("throttled", _distinct(_throttled(record) for record in records)),
        ("CPU", _distinct(_cpu(machine) for machine in machines)),
        ("memory", _distinct(_with_unit(machine.get("memory_gib"), "GiB") for machine in machines)),
        ("system", _distinct(str(machine.get("system", "")) for machine in machines)),
        ("Python", _distinct(str(machine.get("python", "")) for machine in machines)),
        ("libraries", _distinct(_libraries(machine) for machine in machines)),
        ("XSched", _distinct(_xsched(origin.get("device", {})) for origin in origins)),
        ("variables", _distinct(_pairs(o.get("xsched_variables", {})) for o in origins)),
        ("code", _distinct(_code(origin.get("code", {})) for origin in origins)),
        ("load before", _range(o.get("load_before", {}).get("load_1min") for o in origins)),
        ("time", _span([str(origin["time"]) for origin in origins if origin.get("time")])),
    ]


def _origin(record: RunRecord) -> dict[str, Any]:
    """provenance.json; {} for a run that ended before it wrote one, or whose store has none."""
    try:
        origin = json.loads((record.folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return {}
    return origin if isinstance(origin, dict) else {}


def _distinct(values: Iterable[str]) -> str:
    found = [value for value in dict.fromkeys(values) if value]
    more = f" | and {len(found) - MOST_DISTINCT} more" if len(found) > MOST_DISTINCT else ""
    return " | ".join(found[:MOST_DISTINCT]) + more


def _with_unit(value: object, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"


def _cpu(machine: dict[str, Any]) -> str:
    governor = f"governor {machine['governor']}" if machine.get("governor") else ""
    cores = f"{machine['cores']} cores" if machine.get("cores") else ""
    return ", ".join(filter(None, [str(machine.get("cpu", "")), cores, governor]))


def _libraries(machine: dict[str, Any]) -> str:
    versions = machine.get("libraries", {})
    return ", ".join(f"{name} {versions[name]}" for name in LIBRARIES if name in versions)


def _gpu(device: dict[str, Any]) -> str:
    gpu = device.get("gpu") or {}
    driver = f"driver {gpu['driver']}" if gpu.get("driver") else ""
    return ", ".join(filter(None, [str(gpu.get("name", "")), driver]))


def _throttled(record: RunRecord) -> str:
    return ", ".join((record.summary.get("device") or {}).get("throttled", []))


def _xsched(device: dict[str, Any]) -> str:
    """The libraries' checksums, by name."""
    sums = device.get("xsched_libraries") or {}
    return ", ".join(f"{name} {str(digest)[:CHECKSUM_DIGITS]}" for name, digest in sums.items())


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _code(code: dict[str, Any]) -> str:
    if not code.get("commit"):
        return ""
    return str(code["commit"])[:COMMIT_DIGITS] + (" and local changes" if code.get("diff") else "")


def _range(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"


def _span(times: Sequence[str]) -> str:
    """First and last, to the minute."""
    if not times:
        return ""
    first, last = (moment[:16].replace("T", " ") for moment in (min(times), max(times)))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"
