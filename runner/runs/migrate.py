"""Records of schema version 1 as version 2 has them: plain JSON in, plain JSON out.

Version 1 kept figures below their task or priority and their intervals under keys of their own, the
level's suspensions inside a check's evidence, and of a run that failed early only its reason.
"""

from typing import Any

from runner.runs.record import OLD, SCHEMA
from xsched_bindings.types import PreemptLevel


def current(name: str, content: Any) -> Any:
    """The content of the file `name` in the current version. Raises ValueError for what is no such
    record of any version."""
    try:
        return _current(name, content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it is no record of version {OLD}: {error!r}") from error


def configuration(old: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration with the keys that runs from before them had no choice about."""
    if isinstance(task_set := old.get("task_set"), dict):
        task_set.setdefault("lead_in_s", 0.0)
    return old


def _current(name: str, content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    if name == "summary.json" and content.get("schema", OLD) == OLD:
        return _summary(content)
    if name == "proof.json" and "suspensions" not in content:
        return _proof(content)
    if name == "provenance.json":
        return _provenance(content)
    if name == "sweep.json" and content.get("schema", OLD) == OLD:
        return content | {"schema": SCHEMA}
    return content


def _summary(old: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in old.items() if value is not None}
    made |= {"schema": OLD, "figures": dict(old.get("figures", {}))}
    for name, task in old.get("tasks", {}).items():
        made["figures"] |= _figures(task, name)
    for priority, pooled in old.get("priorities", {}).items():
        made["figures"] |= _figures(pooled, f"priority_{priority}")
    made.setdefault("name", "")
    made["proof"] = old.get("proof") or None
    made.setdefault("valid", old.get("status") == "FINISHED")
    return made


def _figures(old: dict[str, Any], scope: str) -> dict[str, Any]:
    """The figures of a task or priority by their names."""
    made = {}
    for kind, prefix in (("latency", ""), ("service", "service_")):
        intervals = old.get(f"{kind}_interval_ms") or {}
        for name, value in (old.get(f"{kind}_ms") or {}).items():
            figure = {"value": value, "interval": intervals.get(name)}
            made[f"{prefix}{name}_ms/{scope}"] = figure
    if "throughput_rps" in old:
        interval = old.get("throughput_interval_rps")
        made[f"throughput_rps/{scope}"] = {"value": old["throughput_rps"], "interval": interval}
    return made


def _proof(old: dict[str, Any]) -> dict[str, Any]:
    """Of the first runs the suspensions had not been timed: they stay evidence, and no more."""
    level = (check for check in old.get("checks", ()) if check.get("name") == "level")
    probes = (p for check in level for p in check.get("evidence", {}).get("suspensions", ()))
    timed = (probe for probe in probes if "quiet_ms" in probe)
    suspensions = [probe | {"level": PreemptLevel[probe["level"]].value} for probe in timed]
    return old | {"suspensions": suspensions}


def _provenance(old: dict[str, Any]) -> dict[str, Any]:
    """Without what was said of a GPU that nothing was known of."""
    device = {name: value for name, value in (old.get("device") or {}).items() if value}
    if "unknown" in device.get("settings", {}):
        del device["settings"]
    return old | {"device": device}
