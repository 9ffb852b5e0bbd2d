"""The tables: what is said about points, runs, the comparison and expectations, wherever it is
shown."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from runner.metrics.intervals import Estimate, significant
from runner.proof.checks import Check, Verdict
from runner.results.cells import BAD, GOOD, NEITHER, Cell, Line, Mark, Table, number
from runner.results.comparison import Comparison, Row
from runner.results.expectations import MET, NOT_MET, Finding
from runner.results.judging import Beside
from runner.results.points import Point
from runner.results.verdict import KINDS
from runner.results.wording import (
    ANY,
    INTERVAL,
    UNKNOWN,
    as_measured,
    figure_and_task,
    numbers,
    short_key,
    spread,
    treatment_name,
    value,
    verdict,
    within,
)
from runner.runs.run import Run
from runner.trial.status import Status

#: Notes that a row shows; the list of all runs has the others.
MOST_NOTES = 3
NOT_VALID = "not valid"
REFUSED_AS_EXPECTED = f"{Verdict.FAILED}, as expected"
#: Not the digits of a name, as in low-1.
NUMBER = re.compile(r"(?<![\w.-])\d+(\.\d+)?(?![\w-])")


# --- points --------------------------------------------------------------------------------------


def points_table(points: Sequence[Point], comparison: Comparison | None) -> Table:
    """One row a point: its primary figure, proof and validity; below it what is to be known."""
    keys = list(dict.fromkeys(key for point in points for key in point.values))
    several = len({point.task_set for point in points}) > 1
    primary = _primary_head(points, comparison)
    lines = []
    for point in points:
        amount, interval = value(_primary(point, points, comparison))
        cells = [
            *([Cell("task set", point.task_set)] if several else []),
            Cell("arm", point.arm),
            *(number(short_key(key), point.values.get(key) or ANY) for key in keys),
            number(primary, amount),
            number(INTERVAL, interval + within(len(point.counted))),
            Cell("proof", _proof(point.runs), minor=True),
            Cell("valid", _valid(point.runs), minor=True),
            number("runs", str(len(point.runs)), minor=True),
        ]
        lines.append(Line(cells, "; ".join(_notes(point.runs))))
    return lines


def _primary_head(points: Sequence[Point], comparison: Comparison | None) -> str:
    if comparison and comparison.arms:
        return comparison.arms[0].figure
    return f"p99_ms/priority_{_urgent(points)}"


def _urgent(points: Sequence[Point]) -> int | str:
    return max((p for point in points for p in point.priorities), default=UNKNOWN, key=float)


def _primary(
    point: Point, points: Sequence[Point], comparison: Comparison | None
) -> Estimate | None:
    if comparison:
        which = (point.task_set, point.arm, point.values)
        rows = [r for r in comparison.arms if (r.task_set, r.arm, r.values) == which]
        return rows[0].value if rows else None
    urgent = _urgent([other for other in points if other.task_set == point.task_set])
    return point.estimate("p99_ms", urgent) if isinstance(urgent, int) else None


def latency_table(points: Sequence[Point]) -> Table:
    """Percentiles and throughput of every priority at every point."""
    lines = []
    for point, priority in [(p, priority) for p in points for priority in p.priorities]:
        latencies = np.concatenate(point.response_ms(priority))
        tags = ("p50_ms", "p90_ms", "p99_ms", "throughput_rps")
        (p50, _), (p90, _), (p99, interval), (throughput, _) = (
            value(point.estimate(tag, priority)) for tag in tags
        )
        summaries = [run.summary for run in point.counted]
        saturation = spread([each.saturation for each in summaries], ".2f")
        preemptions = spread([each.preemptions for each in summaries], ".0f")
        cells = (
            Cell("point", point.label),
            number("priority", str(priority)),
            number("requests", str(len(latencies))),
            number("p50 (ms)", p50),
            number("p90 (ms)", p90),
            number("p99 (ms)", p99),
            number(INTERVAL, interval + within(len(point.counted))),
            number("max (ms)", significant(float(latencies.max()))),
            number("throughput (1/s)", throughput),
            number("saturation", saturation or UNKNOWN),
            number("preemptions", preemptions or UNKNOWN),
        )
        lines.append(Line(cells))
    return lines


# --- expectations and comparison -----------------------------------------------------------------


def expectations_table(findings: Sequence[Finding]) -> Table:
    """What the experiment was meant to show."""
    kinds = {MET: GOOD, NOT_MET: BAD}
    lines = []
    for finding in findings:
        found = finding.value
        cells = (
            Cell("expected", finding.what, "text"),
            Cell("bound", finding.bounds),
            number("found", significant(found) if isinstance(found, float) else found or UNKNOWN),
            number(INTERVAL, finding.shown),
            Cell("verdict", Mark(finding.verdict, kinds.get(finding.verdict, NEITHER))),
        )
        lines.append(Line(cells))
    return lines


def comparison_table(rows: Sequence[Row]) -> Table:
    """Treatments against the baseline; all rows of one figure do without its name."""
    several = len({row.figure for row in rows}) > 1
    paced = any(row.as_measured for row in rows)
    ratio = "ratio" if all(row.difference is None for row in rows) else "ratio or difference"
    lines = []
    for row in rows:
        doubtful = row.beside_null is Beside.INEFFECTIVE or not row.alike
        kind = BAD if doubtful else KINDS.get(row.verdict, NEITHER)
        baseline, treatment, effect, interval = numbers(row)
        cells = (
            Cell("arm", treatment_name(row)),
            *([Cell("figure", figure_and_task(row))] if several else []),
            number("baseline", baseline, minor=True),
            number("treatment", treatment, minor=True),
            number(ratio, effect),
            number(INTERVAL, interval),
            *([number("as measured", as_measured(row), minor=True)] if paced else []),
            number("repeats", str(row.repeats), minor=True),
            Cell("verdict", Mark(verdict(row), kind), "text"),
        )
        lines.append(Line(cells))
    return lines


# --- proof and runs ------------------------------------------------------------------------------


def proof_table(points: Sequence[Point]) -> Table:
    """Every check at every point, with the finding of a run that failed it, else of the first."""
    lines = []
    for point in points:
        by_name: dict[str, list[Check]] = {}
        for check in (check for run in point.runs for check in run.proof.checks):
            by_name.setdefault(check.name, []).append(check)
        for name, checks in by_name.items():
            mark = _share(sum(check.passed for check in checks), len(checks))
            told = min(checks, key=lambda check: check.passed)
            cells = (
                Cell("point", point.label),
                Cell("check", name),
                Cell("runs passed", mark),
                Cell("finding", told.finding, "text"),
            )
            lines.append(Line(cells))
    return lines


def runs_table(points: Sequence[Point]) -> Table:
    """Every run by its folder."""
    lines = []
    for run in (run for point in points for run in point.runs):
        cells = (
            Cell("run", run.folder.name),
            number("repeat", str(run.repeat)),
            Cell("status", run.status),
            Cell("proof", _proof([run])),
            Cell("valid", _valid([run])),
            number("window (s)", spread([run.summary.window_s], ".1f") or UNKNOWN),
            Cell("configuration", run.summary.config_hash or UNKNOWN),
            Cell("notes", "; ".join(notes_of(run)), "text"),
        )
        lines.append(Line(cells))
    return lines


def _share(good: int, of: int) -> Mark:
    return Mark(f"{good} of {of}", GOOD if good == of else BAD)


def _proof(runs: Sequence[Run]) -> Mark:
    """How the proofs ended; a refusal that was expected is what was to be shown."""
    verdicts = set(map(_proof_of, runs))
    good = verdicts & {str(Verdict.PROVEN), REFUSED_AS_EXPECTED}
    bad = verdicts - good - {str(Verdict.NOT_CLAIMED), str(Verdict.IN_PLACE)}
    return Mark(proofs(runs), BAD if bad else GOOD if good else NEITHER)


def proofs(runs: Sequence[Run]) -> str:
    """How often proofs ended in what way: ``6 proven, 3 not claimed``."""
    verdicts = Counter(map(_proof_of, runs))
    counts = [f"{count} {verdict}" for verdict, count in verdicts.items()]
    return ", ".join(counts if len(verdicts) > 1 else verdicts)


def _proof_of(run: Run) -> str:
    if run.summary.proof is Verdict.FAILED and run.summary.as_expected:
        return REFUSED_AS_EXPECTED
    return str(run.summary.proof or "none")


def _valid(runs: Sequence[Run]) -> Mark:
    valid, asked = valid_of(runs)
    if not asked:
        return Mark(UNKNOWN)
    if asked == 1:
        return Mark("yes", GOOD) if valid else Mark("no", BAD)
    return _share(valid, asked)


def valid_of(runs: Sequence[Run]) -> tuple[int, int]:
    """How many are valid, of how many: a refusal that was expected has no figures to be valid."""
    asked = [r for r in runs if r.status is Status.FINISHED or not r.summary.as_expected]
    return sum(r.summary.valid and r.status is Status.FINISHED for r in asked), len(asked)


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
