"""What an experiment is meant to show, checked against what its runs show: `expect:` in a
configuration. Pure: records in, verdicts out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.config.schema import ExpectConfig
from runner.metrics.intervals import Interval, over_repeats
from runner.runs.record import FINISHED, RunRecord
from runner.runs.repeats import MIN_REPEATS

MET, NOT_MET, INCONCLUSIVE = "met", "not met", "inconclusive"
#: Fewer lie on a line more easily than not.
MIN_POINTS = 3


@dataclass(frozen=True)
class Finding:
    """One expectation and what became of it. value: over the repeats, None without any."""

    what: str
    verdict: str
    value: float | str | None
    interval: Interval | None
    bounds: str
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        interval = None if self.interval is None else [self.interval.low, self.interval.high]
        return vars(self) | {"interval": interval}


def evaluate(expect: Sequence[ExpectConfig], records: Sequence[RunRecord]) -> list[Finding]:
    """Every expectation that is meant for the platform of these runs."""
    platforms = {record.platform for record in records}
    meant = [each for each in expect if each.platform is None or each.platform in platforms]
    return [_judge(each, records) for each in meant]


def _judge(expected: ExpectConfig, records: Sequence[RunRecord]) -> Finding:
    if expected.equals is not None:
        return _judge_text(expected, records)
    bounds = _bounds(expected)
    values = _values(expected, records)
    if not values:
        return Finding(expected.what, INCONCLUSIVE, None, None, bounds, "there is no such run")
    found = over_repeats(values)
    if found.interval is None or len(values) < MIN_REPEATS:
        why = f"fewer than {MIN_REPEATS} repeats"
        return Finding(expected.what, INCONCLUSIVE, found.value, None, bounds, why)
    verdict = _verdict(expected, found.interval)
    return Finding(expected.what, verdict, found.value, found.interval, bounds)


def _judge_text(expected: ExpectConfig, records: Sequence[RunRecord]) -> Finding:
    found = [str(record.summary.get(expected.metric)) for record in _select(expected.of, records)]
    bounds = f"= {expected.equals}"
    if not found:
        return Finding(expected.what, INCONCLUSIVE, None, None, bounds, "there is no such run")
    verdict = MET if set(found) == {expected.equals} else NOT_MET
    return Finding(expected.what, verdict, ", ".join(sorted(set(found))), None, bounds)


def _verdict(expected: ExpectConfig, interval: Interval) -> str:
    low = -math.inf if expected.at_least is None else expected.at_least
    high = math.inf if expected.at_most is None else expected.at_most
    if low <= interval.low and interval.high <= high:
        return MET
    return NOT_MET if interval.high < low or interval.low > high else INCONCLUSIVE


def _bounds(expected: ExpectConfig) -> str:
    parts = [
        f"{sign} {bound:g}"
        for sign, bound in (("≥", expected.at_least), ("≤", expected.at_most))
        if bound is not None
    ]
    return " and ".join(parts)


def _values(expected: ExpectConfig, records: Sequence[RunRecord]) -> list[float]:
    """What is judged, of every repeat that has it."""
    repeats = sorted({record.repeat for record in records})
    found = [_value(expected, [r for r in records if r.repeat == repeat]) for repeat in repeats]
    return [value for value in found if value is not None and value > 0]


def _value(expected: ExpectConfig, records: Sequence[RunRecord]) -> float | None:
    """The figure in one repeat, the ratio of two, or how well a line describes it."""
    own = _select(expected.of, records)
    if expected.proportional_to:
        return _proportionality(expected.metric, expected.proportional_to.split(), own)
    value = _mean(expected.metric, own)
    if not expected.to:
        return value
    below = _mean(expected.metric, _select(expected.to, records))
    return None if value is None or below is None else value / below


def _proportionality(
    metric: str, keys: Sequence[str], records: Sequence[RunRecord]
) -> float | None:
    """R² of the least-squares line through the origin: the share of the figure's variance, about
    its mean, that the line explains. None for fewer than three runs or without any variance."""
    points = [
        (math.prod(float(setting(record, key) or math.nan) for key in keys), value)
        for record in records
        if record.status == FINISHED and (value := figure(record.summary, metric)) is not None
    ]
    if len(points) < MIN_POINTS:
        return None
    x, y = np.array(points).T
    slope = (x @ y) / (x @ x)
    variance = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - slope * x) ** 2).sum() / variance) if variance else None


def _select(selector: str, records: Sequence[RunRecord]) -> list[RunRecord]:
    """Records that a selector means, ``arm=xsched xsched.threshold=64``; a run that does not depend
    on a swept key serves all its values."""
    wanted = dict(token.split("=", 1) for token in selector.split())
    return [
        record
        for record in records
        if all(setting(record, key) in (value, None) for key, value in wanted.items())
    ]


def setting(record: RunRecord, key: str) -> str | None:
    """What the run had for a key: as swept (None where it does not depend on it), else as
    configured; of a group like ``model`` its name."""
    if key == "arm":
        return record.arm
    if key in record.values:
        return record.values[key]
    found: Any = record.config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    found = found.get("name") if isinstance(found, dict) else found
    return str(found)


def _mean(metric: str, records: Sequence[RunRecord]) -> float | None:
    """Geometric mean over the runs that have the figure."""
    found = [figure(record.summary, metric) for record in records if record.status == FINISHED]
    known = [value for value in found if value is not None and value > 0]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None


def figure(summary: dict[str, Any], metric: str) -> float | None:
    """``p99_ms/priority_3``, ``throughput_rps/total``, ``share/<task>``, ``preemptions``,
    ``preemption_ms/p50``. Scopes are a task, priority_<n>, highest, lowest and total."""
    name, _, scope = metric.partition("/")
    tasks, priorities = summary.get("tasks", {}), summary.get("priorities", {})
    total = sum(task["throughput_rps"] for task in tasks.values())
    if not scope:
        value = summary.get(name)
        return None if value is None else float(value)
    if name == "preemption_ms":
        value = summary.get(name, {}).get(scope)
        return None if value is None else float(value)
    if name == "share":
        return tasks[scope]["throughput_rps"] / total if scope in tasks and total else None
    if scope == "total":
        return float(total) if name == "throughput_rps" and tasks else None
    if scope in ("highest", "lowest") and priorities:
        pick = max if scope == "highest" else min
        scope = f"priority_{pick(priorities, key=int)}"
    entry = tasks.get(scope) or priorities.get(scope.removeprefix("priority_"))
    if entry is None:
        return None
    if name.endswith("_ms"):
        value = entry["latency_ms"].get(name.removesuffix("_ms"))
    else:
        value = entry.get(name)
    return None if value is None else float(value)
