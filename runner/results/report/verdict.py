"""What a comparison came to, in a sentence or two."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from runner.metrics.intervals import significant
from runner.results.comparison import (
    BETTER,
    NO_DIFFERENCE,
    NULL_CONTROL,
    WORSE,
    Comparison,
    Row,
    is_treatment,
)
from runner.results.tables import INTERVAL, change, point
from runner.runs.repeats import MIN_REPEATS

GOOD, BAD, NEITHER = "good", "bad", ""


def conclusions(found: Comparison) -> list[tuple[str, str]]:
    """(sentence, kind) for each task set, about its primary figure."""
    deciding = deciding_rows(found)
    several = len({row.task_set for row in deciding}) > 1
    sentences = []
    for task_set, rows in groupby(deciding, lambda row: row.task_set):
        primary = list(rows)
        main = [row for row in primary if is_treatment(row.treatment)] or primary
        if main:
            said, kind = _one(main[0]) if len(main) == 1 else _several(main)
            sentences.append((f"{task_set}: {said}" if several else said, kind))
    return sentences


def controls(found: Comparison) -> list[str]:
    """The primary figure of each arm beside XSched, in a few words."""
    primary = deciding_rows(found)
    if not any(is_treatment(row.treatment) for row in primary):
        return []
    others: dict[tuple[str, str], list[Row]] = {}
    for row in primary:
        if not is_treatment(row.treatment):
            others.setdefault((row.treatment, row.baseline), []).append(row)
    return [
        f"{arm} against {baseline_name(baseline)}: {_verdicts(rows)}{_reach(rows)}"
        for (arm, baseline), rows in others.items()
    ]


def deciding_rows(found: Comparison) -> list[Row]:
    """The primary figure of every treatment, once: a priority with one task has it twice."""
    rows: dict[object, Row] = {}
    for row in found.rows:
        if row.primary:
            rows.setdefault((row.task_set, row.treatment, frozenset(row.values.items())), row)
    return sorted(rows.values(), key=lambda row: row.task_set)


def baseline_name(selector: str) -> str:
    """``xsched,xsched.threshold=8`` is ``xsched, threshold=8`` to a reader."""
    arm, *fixed = selector.split(",")
    values = dict(each.split("=", 1) for each in fixed)
    return point(arm, dict(values))


def figure_name(metric: str) -> str:
    """``p99_ms`` is ``p99`` where the unit is said with the number."""
    return metric.removesuffix("_ms").removesuffix("_rps").replace("_", " ")


def _one(row: Row) -> tuple[str, str]:
    arm, baseline = point(row.treatment, row.values), baseline_name(row.baseline)
    if row.verdict in (BETTER, WORSE):
        said = f"{arm} is {row.verdict} than {baseline}"
    elif row.verdict == NO_DIFFERENCE:
        said = f"No difference shown between {arm} and {baseline}"
    else:
        said = f"No verdict on {arm} against {baseline}"
    said += f": {figure_name(row.metric)} of {row.scope} is {_amount(row)} ({_details(row)})."
    if row.ineffective:
        return f"{said} It cannot be told from {NULL_CONTROL}: ineffective.", BAD
    return said, {BETTER: GOOD, WORSE: BAD}.get(row.verdict, NEITHER)


def _amount(row: Row) -> str:
    sides = f"{significant(row.treatment_value.value)} against "
    sides += f"{significant(row.baseline_value.value)} {row.unit}"
    if row.ratio is not None:
        return f"{sides}, {change(row)} times as much"
    return f"{sides}, a difference of {change(row)}"


def _details(row: Row) -> str:
    repeats = f"{row.repeats} repeat{'' if row.repeats == 1 else 's'}"
    if row.interval is None:
        few = f", and a verdict takes {MIN_REPEATS}" if row.repeats < MIN_REPEATS else ""
        return repeats + few
    return f"{INTERVAL} {row.interval.show()}, {repeats}"


def _several(rows: Sequence[Row]) -> tuple[str, str]:
    """Of several treatments: how many came to which verdict, and how far they reach."""
    first = rows[0]
    sentence = (
        f"{figure_name(first.metric)} of {first.scope} against {baseline_name(first.baseline)}, "
        f"{len(rows)} treatments: {_verdicts(rows)}{_reach(rows)}"
    )
    null = [row for row in rows if row.ineffective]
    if null:
        sentence += f". {len(null)} cannot be told from {NULL_CONTROL}: ineffective"
    kinds = {BETTER: GOOD, WORSE: BAD}
    alike = len({row.verdict for row in rows}) == 1
    only = kinds.get(first.verdict, NEITHER) if alike else NEITHER
    return f"{sentence}.", BAD if null else only


def _verdicts(rows: Sequence[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    if len(rows) == 1:
        return rows[0].verdict
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def _reach(rows: Sequence[Row]) -> str:
    """The effect, or the smallest and the largest with where they are."""
    known = [row for row in rows if _effect(row) is not None]
    if not known:
        return ""
    what = "ratio" if known[0].ratio is not None else "difference"
    low, high = (pick(known, key=lambda row: _effect(row) or 0.0) for pick in (min, max))
    if low is high:
        return f"; {what} {change(low)}"
    return (
        f"; {what}s from {change(low)} ({point(low.treatment, low.values)}) to "
        f"{change(high)} ({point(high.treatment, high.values)})"
    )


def _effect(row: Row) -> float | None:
    return row.difference if row.ratio is None else row.ratio
