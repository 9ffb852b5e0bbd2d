"""A report from runs that have ended: the figures as files, and the page that has them all."""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from runner.config.errors import UserError
from runner.results.comparison import Comparison, compare
from runner.results.report import sections
from runner.results.report.drawn import draw
from runner.results.report.environment import environment
from runner.results.report.page import Page, facts, figure, folded
from runner.results.report.points import Point, group
from runner.results.report.verdict import baseline_name, conclusions, controls, deciding_rows
from runner.results.tables import clock_warning
from runner.runs.files import REPORT_PAGE
from runner.runs.provenance import told
from runner.runs.record import SWEEP, RunRecord

NO_NAME = re.compile(r"[^\w.-]")
EXPECTATIONS = "expectations.json"
FIGURES = "figures"
READING = """Latency is the response latency, from the scheduled arrival, so that waiting counts.
Percentiles are measured values. Intervals of one run take into account that its requests resemble
their neighbours, and "> max" says that the run is too short for an upper bound; with repeats, the
interval is over the runs. A verdict takes three repeats; the primary figure is tested at 5 %, the
others together (Holm). Methods: docs/statistics.md."""


def build(
    records: Sequence[RunRecord],
    folder: Path,
    source: Path | None = None,
    baseline: str | None = None,
    primary: str | None = None,
) -> Path:
    """Write the report of these runs to `folder`; returns the page.

    source: what the runs were loaded from, if it is one thing. Raises `UserError` if there is no
    run, the folder cannot be written, or `baseline` or `primary` name what is not there."""
    if not records:
        raise UserError("", "", "no run has ended yet")
    _make(folder / FIGURES)
    points = group(records)
    found, why_not = _compare(records, baseline, primary)
    page = Page(source.name.removesuffix(".zip") if source else ", ".join(_task_sets(points)))
    sweep = _sweep(records)
    _first_screen(page, points, records, found, why_not, sweep)
    _expectations(page, sweep)
    _figures(page, points, folder)
    _comparison(page, found)
    _all_points(page, points)
    path = folder / REPORT_PAGE
    try:
        path.write_text(page.html())
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    problem = f"cannot be written: {error.strerror}"
    return UserError("output", path, problem, remedy="choose another folder with --output")


def _task_sets(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(point.task_set for point in points))


def _compare(
    records: Sequence[RunRecord], baseline: str | None, primary: str | None
) -> tuple[Comparison | None, str]:
    """The comparison or, where nobody asked for a certain one, why there is none."""
    try:
        return compare(records, baseline, primary), ""
    except UserError as error:
        if baseline or primary:
            raise
        return None, str(error).partition("\n")[0]


# --- the page ------------------------------------------------------------------------------------


def _first_screen(
    page: Page,
    points: Sequence[Point],
    records: Sequence[RunRecord],
    found: Comparison | None,
    why_not: str,
    sweep: Path | None,
) -> None:
    page.add(f"<h1>{escape(page.title)}</h1>")
    if command := (_json(sweep, SWEEP) or {}).get("command"):
        page.add(f"<code>{escape(told(str(command)))}</code>")
    if found:
        for sentence, kind in conclusions(found):
            page.paragraph(sentence, f"verdict {kind}")
        if warning := clock_warning(found):
            page.paragraph(warning, "verdict bad")
        _aside(page, found)
    else:
        page.paragraph(f"No comparison: {why_not}.", "verdict")
    page.add('<div class="first"><div>')
    page.heading("Runs")
    page.add(sections.points_table(points, found))
    page.add("</div><div>")
    page.heading("Environment")
    page.add(facts(environment(records)))
    page.add("</div></div>")


def _aside(page: Page, found: Comparison) -> None:
    """Controls, and runs that the comparison does without."""
    if said := controls(found):
        page.paragraph("; ".join(said) + ".", "soft")
    if found.left_out:
        why = [(reason.partition(":")[0], record.name) for record, reason in found.left_out]
        runs = [
            f"{', '.join(name for said, name in why if said == reason)} ({reason})"
            for reason in dict.fromkeys(said for said, _ in why)
        ]
        page.paragraph(f"Not compared: {'; '.join(runs)}.", "bad")


def _sweep(records: Sequence[RunRecord]) -> Path | None:
    """The folder of the sweep that all the runs are of."""
    above = {record.folder.absolute().parent for record in records}
    return above.pop() if len(above) == 1 else None


def _json(sweep: Path | None, name: str) -> Any:
    """A file of the sweep's folder; None if there is none."""
    try:
        return json.loads((sweep / name).read_text()) if sweep else None
    except (OSError, ValueError):
        return None


def _expectations(page: Page, sweep: Path | None) -> None:
    findings = _json(sweep, EXPECTATIONS)
    if findings:
        page.heading("Expected")
        page.add(sections.expectations_table(findings))


def _figures(page: Page, points: Sequence[Point], folder: Path) -> None:
    task_sets = _task_sets(points)
    for task_set in task_sets:
        mine = [point for point in points if point.task_set == task_set]
        suffix = f"_{NO_NAME.sub('_', task_set)}" if len(task_sets) > 1 else ""
        drawn = list(draw(mine, folder / FIGURES, suffix))
        if drawn:
            page.heading(f"Figures: {task_set}" if suffix else "Figures")
            images = (figure(each.image, each.caption, FIGURES) for each in drawn)
            page.add(f'<div class="figures">{"".join(images)}</div>')


def _comparison(page: Page, found: Comparison | None) -> None:
    if found is None:
        return
    page.heading(f"Against {baseline_name(found.baseline)}")
    deciding = deciding_rows(found)
    others = [row for row in found.rows if not row.primary]
    if deciding:
        page.add(sections.comparison_table(deciding))
    if others:
        page.add(folded("Secondary figures", sections.comparison_table(others)))


def _all_points(page: Page, points: Sequence[Point]) -> None:
    if any(point.counted for point in points):
        page.heading("All points")
        page.paragraph("Over repeats: geometric means; max is the largest of all.", "soft")
        page.add(sections.latency_table(points))
    if proofs := sections.proof_table(points):
        page.heading("Proof")
        page.add(proofs)
    page.heading("Runs and how to read them")
    count = sum(len(point.runs) for point in points)
    page.add(folded(f"All {count} runs", sections.runs_table(points)))
    page.paragraph(READING, "soft")
