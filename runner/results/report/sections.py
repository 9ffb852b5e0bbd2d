"""The parts of a report's page: what is said about runs, points and the comparison."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from runner.metrics.intervals import Estimate, significant
from runner.proof.checks import Check, Verdict
from runner.results.comparison import BETTER, WORSE, Comparison, Row
from runner.results.expectations import MET, NOT_MET, Finding
from runner.results.report.page import Cell, Column, Mark, table
from runner.results.report.points import Point, short_key
from runner.results.report.verdict import figure_name
from runner.results.tables import INTERVAL, change, point, verdict
from runner.runs.run import Run
from runner.trial.status import Status

#: Notes that a row shows; the list of all runs has the others.
MOST_NOTES = 3
UNKNOWN = "–"
NOT_VALID = "not valid"
REFUSED_AS_EXPECTED = f"{Verdict.FAILED}, as expected"
#: Not the digits of a name, as in low-1.
NUMBER = re.compile(r"(?<![\w.-])\d+(\.\d+)?(?![\w-])")
INTERVALS = Column(INTERVAL, "number")


def value(estimate: Estimate | None) -> tuple[str, str]:
    """An estimate and its interval."""
    if estimate is None:
        return UNKNOWN, UNKNOWN
    interval = estimate.interval.show() if estimate.interval else UNKNOWN
    return significant(estimate.value), interval


def _swept(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(key for point in points for key in point.values))


def _values(point: Point, keys: Sequence[str]) -> list[Cell]:
    return [point.values.get(key) or "any" for key in keys]


# --- the first screen ----------------------------------------------------------------------------


def points_table(points: Sequence[Point], found: Comparison | None) -> str:
    """One row a point: its primary figure, proof and validity; below it what is to be known."""
    keys = _swept(points)
    several = len({each.task_set for each in points}) > 1
    columns = [
        *([Column("task set")] if several else []),
        Column("arm"),
        *(Column(short_key(key), "number") for key in keys),
        Column("runs", "number"),
        Column(_primary_head(points, found), "number"),
        INTERVALS,
        Column("proof"),
        Column("valid"),
    ]
    rows: list[list[Cell]] = [
        [
            *([each.task_set] if several else []),
            each.arm,
            *_values(each, keys),
            str(len(each.runs)),
            *value(_primary(each, points, found)),
            _proof(each.runs),
            _valid(each.runs),
        ]
        for each in points
    ]
    return table(columns, rows, ["; ".join(_notes(each.runs)) for each in points])


def _primary_head(points: Sequence[Point], found: Comparison | None) -> str:
    if found and found.arms:
        first = found.arms[0]
        return f"{figure_name(first.metric)} of {first.scope} ({first.unit})"
    return f"p99 of priority {_urgent(points)} (ms)"


def _urgent(points: Sequence[Point]) -> int | str:
    return max((p for point in points for p in point.priorities), default=UNKNOWN, key=float)


def _primary(shown: Point, points: Sequence[Point], found: Comparison | None) -> Estimate | None:
    if found:
        for row in found.arms:
            if (row.task_set, row.arm, row.values) == (shown.task_set, shown.arm, shown.values):
                return row.value
        return None
    urgent = _urgent([each for each in points if each.task_set == shown.task_set])
    return shown.estimate("p99_ms", urgent) if isinstance(urgent, int) else None


def _proof(runs: Sequence[Run]) -> Mark:
    """How the proofs ended; a refusal that was expected is what was to be shown."""
    verdicts = Counter(_proof_of(run) for run in runs)
    if len(verdicts) == 1:
        text = next(iter(verdicts))
    else:
        text = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    good = {str(Verdict.PROVEN), REFUSED_AS_EXPECTED}
    bad = any(each not in good and each != Verdict.NOT_CLAIMED for each in verdicts)
    return Mark(text, "bad" if bad else "good" if good & verdicts.keys() else "")


def _proof_of(run: Run) -> str:
    if run.summary.proof is Verdict.FAILED and run.summary.as_expected:
        return REFUSED_AS_EXPECTED
    return str(run.summary.proof or "none")


def _valid(runs: Sequence[Run]) -> Mark:
    """A refusal that was expected has no figures to be valid."""
    finished = Status.FINISHED
    asked = [r for r in runs if r.status is finished or not r.summary.as_expected]
    if not asked:
        return Mark(UNKNOWN)
    valid = sum(run.summary.valid and run.status is finished for run in asked)
    if len(asked) == 1:
        return Mark("yes", "good") if valid else Mark("no", "bad")
    return Mark(f"{valid} of {len(asked)}", "good" if valid == len(asked) else "bad")


def _notes(runs: Sequence[Run]) -> list[str]:
    """Every note once, whatever the numbers in it, and how many of the runs have it; those that
    make a run invalid first."""
    alike: dict[str, list[str]] = {}
    for note in (note for run in runs for note in dict.fromkeys(notes_of(run))):
        alike.setdefault(NUMBER.sub("#", note), []).append(note)
    said = []
    for notes in sorted(alike.values(), key=lambda notes: not notes[0].startswith(NOT_VALID)):
        among = "" if len(runs) == 1 else f" ({len(notes)} of {len(runs)} runs)"
        said.append(notes[0] + (among if len(set(notes)) == 1 else f"{among[:-1]}, alike)"))
    more = [f"and {len(said) - MOST_NOTES} more"] if len(said) > MOST_NOTES else []
    return said[:MOST_NOTES] + more


def notes_of(run: Run) -> list[str]:
    """Why a run has no result, or what a reader must know of it."""
    ended = ": ".join(filter(None, [run.status, run.summary.reason]))
    return [*([] if run.status is Status.FINISHED else [ended]), *run.summary.notes]


def expectations_table(findings: Sequence[Finding]) -> str:
    """What the experiment was meant to show."""
    columns = [
        Column("expected", "text"),
        Column("bound"),
        Column("found", "number"),
        INTERVALS,
        Column("verdict"),
    ]
    kinds = {MET: "good", NOT_MET: "bad"}
    rows: list[list[Cell]] = [
        [
            each.what,
            each.bounds,
            significant(each.value) if isinstance(each.value, float) else each.value or UNKNOWN,
            each.shown,
            Mark(each.verdict, kinds.get(each.verdict, "")),
        ]
        for each in findings
    ]
    return table(columns, rows)


# --- the comparison ------------------------------------------------------------------------------


def comparison_table(rows: Sequence[Row]) -> str:
    """Treatments against the baseline; a task that is alone in its priority is the priority."""
    columns = [
        Column("treatment"),
        Column("figure"),
        Column("of"),
        Column("baseline", "number"),
        Column("treatment", "number"),
        Column("change", "number"),
        INTERVALS,
        Column("repeats", "number"),
        Column("verdict"),
    ]
    lines: dict[object, list[Cell]] = {}
    for row in rows:
        named = point(row.treatment, row.values)
        line: list[Cell] = [
            named,
            f"{figure_name(row.metric)} ({row.unit})",
            row.scope,
            significant(row.baseline_value.value),
            significant(row.treatment_value.value),
            change(row),
            row.interval.show() if row.interval else UNKNOWN,
            str(row.repeats),
            _judged(row),
        ]
        lines.setdefault((row.task_set, named, row.metric, row.tasks), line)
    return table(columns, list(lines.values()))


def _judged(row: Row) -> Mark:
    kind = {BETTER: "good", WORSE: "bad"}.get(row.verdict, "")
    return Mark(verdict(row), "bad" if row.clocks_differ or row.ineffective else kind)


# --- the figures of every point ------------------------------------------------------------------


def latency_table(points: Sequence[Point]) -> str:
    """Percentiles and throughput of every priority at every point."""
    tags = ("p50_ms", "p90_ms", "p99_ms", "throughput_rps")
    columns = [
        Column("point"),
        Column("priority", "number"),
        Column("requests", "number"),
        *(Column(f"{figure_name(tag)} (ms)", "number") for tag in tags[:3]),
        INTERVALS,
        Column("max (ms)", "number"),
        Column("throughput (1/s)", "number"),
        Column("saturation", "number"),
        Column("preemptions", "number"),
    ]
    rows: list[list[Cell]] = []
    for shown in points:
        for priority in shown.priorities:
            found = [shown.estimate(tag, priority) for tag in tags]
            largest = max(map(np.max, shown.response_ms(priority)))
            plain = [value(each)[0] for each in found]
            rows.append(
                [
                    shown.label,
                    str(priority),
                    str(sum(map(len, shown.response_ms(priority)))),
                    *plain[:3],
                    value(found[2])[1],
                    significant(float(largest)),
                    *plain[3:],
                    _spread([run.summary.saturation for run in shown.counted], ".2f"),
                    _spread([run.summary.preemptions for run in shown.counted], ".0f"),
                ]
            )
    return table(columns, rows)


def _spread(values: Sequence[float | None], style: str) -> str:
    known = sorted({f"{v:{style}}" for v in values if v is not None}, key=float)
    return " to ".join(dict.fromkeys((known[0], known[-1]))) if known else UNKNOWN


# --- proof and runs ------------------------------------------------------------------------------


def proof_table(points: Sequence[Point]) -> str:
    """Every check at every point, with the finding of a run that failed it, else of the first;
    "" if there is none."""
    columns = [Column("point"), Column("check"), Column("runs passed"), Column("finding", "text")]
    rows: list[list[Cell]] = []
    for shown in points:
        checks: dict[str, list[Check]] = {}
        for check in (check for run in shown.runs for check in run.proof.checks):
            checks.setdefault(check.name, []).append(check)
        for name, each in checks.items():
            passed = sum(check.passed for check in each)
            mark = Mark(f"{passed} of {len(each)}", "good" if passed == len(each) else "bad")
            told = min(each, key=lambda check: check.passed)
            rows.append([shown.label, name, mark, told.finding])
    return table(columns, rows) if rows else ""


def runs_table(points: Sequence[Point]) -> str:
    """Every run by its folder."""
    columns = [
        Column("run"),
        Column("repeat", "number"),
        Column("status"),
        Column("proof"),
        Column("valid"),
        Column("window (s)", "number"),
        Column("configuration"),
        Column("notes", "text"),
    ]
    rows: list[list[Cell]] = [
        [
            run.folder.name,
            str(run.repeat),
            run.status,
            _proof([run]),
            _valid([run]),
            _spread([run.summary.window_s], ".1f"),
            run.summary.config_hash or UNKNOWN,
            "; ".join(notes_of(run)),
        ]
        for shown in points
        for run in shown.runs
    ]
    return table(columns, rows)
