"""A report from runs that have ended: the drawings as files, and the page that has them all."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from runner.config.errors import UserError
from runner.results import sections
from runner.results.outcome import Outcome
from runner.results.report.drawn import draw
from runner.results.report.environment import environment
from runner.results.report.page import Drawing, Page
from runner.results.wording import about, baseline_name
from runner.runs import durable, files
from runner.runs.provenance import told

NO_NAME = re.compile(r"[^\w.-]")


def build(outcome: Outcome, folder: Path, title: str = "") -> Path:
    """Write the report of what runs came to, to `folder`; returns the page.

    title: in place of the sweep's name. Raises `UserError` if there is no run, or the folder cannot
    be written."""
    if not outcome.runs:
        raise UserError("", "", "no run has ended yet")
    with _writing(folder / files.FIGURES):
        (folder / files.FIGURES).mkdir(parents=True, exist_ok=True)
    page = _page(outcome, folder, title or outcome.runs.name)
    path = folder / files.REPORT_PAGE
    with _writing(path):
        durable.write(path, page.html().encode())
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        remedy = "choose another folder with --output"
        raise UserError("output", path, problem, remedy=remedy) from error


def _page(outcome: Outcome, folder: Path, title: str) -> Page:
    points, comparison = outcome.points, outcome.comparison
    rows = comparison.rows if comparison else []
    primary = [row for row in rows if row.primary]
    secondary = [row for row in rows if not row.primary]
    baseline = baseline_name(comparison.baseline) if comparison else ""
    return Page(
        title=title,
        command=told(outcome.runs.record.command),
        verdicts=outcome.verdicts,
        asides=outcome.asides,
        points=sections.points_table(points, comparison),
        environment=environment(outcome.runs),
        expected=sections.expectations_table(outcome.findings),
        folder=files.FIGURES,
        drawings=_drawings(outcome, folder / files.FIGURES),
        against=f"{about(primary) or 'Arms'} against {baseline}" if comparison else "",
        primary=sections.comparison_table(primary),
        secondary=sections.comparison_table(secondary),
        latencies=sections.latency_table(points),
        proof=sections.proof_table(points),
        runs=sections.runs_table(points),
    )


def _drawings(outcome: Outcome, folder: Path) -> dict[str, list[Drawing]]:
    """By heading: task sets have drawings, and a figure that decides, of their own."""
    by_task_set = [(name, list(s)) for name, s in groupby(outcome.points, lambda p: p.task_set)]
    arms = outcome.comparison.arms if outcome.comparison else []
    primary = {row.task_set: row.figure for row in arms}
    several = len(by_task_set) > 1
    drawings = {
        f"Figures: {name}" if several else "Figures": list(
            draw(same, folder, f"_{NO_NAME.sub('_', name)}" if several else "", primary.get(name))
        )
        for name, same in by_task_set
    }
    return {heading: drawn for heading, drawn in drawings.items() if drawn}
