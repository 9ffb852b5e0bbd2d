"""A report from runs that have ended: the figures as files, and the page that has them all."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from runner.config.errors import UserError
from runner.results.comparison import Comparison, compare
from runner.results.expectations import read_findings
from runner.results.report import sections
from runner.results.report.drawn import draw
from runner.results.report.environment import environment
from runner.results.report.page import Page, facts, figure, folded
from runner.results.report.points import Point, group
from runner.results.report.verdict import baseline_name, conclusions, controls, deciding_rows
from runner.results.tables import clock_warning
from runner.runs import files
from runner.runs.provenance import told
from runner.runs.run import Run
from runner.runs.sweep import Sweep

NO_NAME = re.compile(r"[^\w.-]")
FIGURES = "figures"
READING = """Latency is the response latency, from the scheduled arrival, so that waiting counts.
Percentiles are measured values. Intervals of one run take into account that its requests resemble
their neighbours, and "> max" says that the run is too short for an upper bound; with repeats, the
interval is over the runs. A verdict takes three repeats; the primary figure is tested at 5 %, the
others together (Holm). Methods: docs/statistics.md."""


def build(
    runs: Sweep,
    folder: Path,
    title: str = "",
    baseline: str | None = None,
    primary: str | None = None,
) -> Path:
    """Write the report of these runs to `folder`; returns the page.

    title: in place of the sweep's name. Raises `UserError` if there is no run, the folder cannot be
    written, or `baseline` or `primary` name what is not there."""
    if not runs:
        raise UserError("", "", "no run has ended yet")
    _make(folder / FIGURES)
    points = group(runs)
    found, why_not = _compare(runs.runs, baseline, primary)
    page = Page(title or runs.name)
    _first_screen(page, points, runs, found, why_not)
    _expectations(page, runs)
    _figures(page, points, folder)
    _comparison(page, found)
    _all_points(page, points)
    path = folder / files.REPORT_PAGE
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
    runs: Sequence[Run], baseline: str | None, primary: str | None
) -> tuple[Comparison | None, str]:
    """The comparison or, where nobody asked for a certain one, why there is none."""
    try:
        return compare(runs, baseline, primary), ""
    except UserError as error:
        if baseline or primary:
            raise
        return None, str(error).partition("\n")[0]


# --- the page ------------------------------------------------------------------------------------


def _first_screen(
    page: Page,
    points: Sequence[Point],
    runs: Sweep,
    found: Comparison | None,
    why_not: str,
) -> None:
    page.add(f"<h1>{escape(page.title)}</h1>")
    if runs.record.command:
        page.add(f"<code>{escape(told(runs.record.command))}</code>")
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
    page.add(facts(environment(runs)))
    page.add("</div></div>")


def _aside(page: Page, found: Comparison) -> None:
    """Controls, and runs that the comparison does without."""
    if said := controls(found):
        page.paragraph("; ".join(said) + ".", "soft")
    if found.left_out:
        why = [(reason.partition(":")[0], run.name) for run, reason in found.left_out]
        runs = [
            f"{', '.join(name for said, name in why if said == reason)} ({reason})"
            for reason in dict.fromkeys(said for said, _ in why)
        ]
        page.paragraph(f"Not compared: {'; '.join(runs)}.", "bad")


def _expectations(page: Page, runs: Sweep) -> None:
    if findings := read_findings(runs.folder):
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
