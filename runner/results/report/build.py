"""A report from runs that have ended: the drawings as files, and the page that has them all."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from runner.config.errors import UserError
from runner.results.comparison import Comparison, compare
from runner.results.expectations import read_findings
from runner.results.points import Point, points_of
from runner.results.report import sections
from runner.results.report.drawn import draw
from runner.results.report.environment import environment
from runner.results.report.page import BAD, SOFT, Drawing, Mark, Page
from runner.results.report.verdict import conclusions, controls
from runner.results.wording import baseline_name, warnings
from runner.runs import files
from runner.runs.provenance import told
from runner.runs.sweep import Sweep

NO_NAME = re.compile(r"[^\w.-]")
FIGURES = "figures"


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
    with _writing(folder / FIGURES):
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    page = _page(runs, folder, title or runs.name, baseline, primary)
    path = folder / files.REPORT_PAGE
    with _writing(path):
        path.write_text(page.html())
    return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        remedy = "choose another folder with --output"
        raise UserError("output", path, problem, remedy=remedy) from error


def _page(runs: Sweep, folder: Path, title: str, baseline: str | None, primary: str | None) -> Page:
    points = points_of(runs)
    comparison, why_not = None, ""
    try:
        comparison = compare(runs.runs, baseline, primary)
    except UserError as error:
        if baseline or primary:  # somebody asked for a certain one
            raise
        why_not = str(error).partition("\n")[0]
    rows = comparison.rows if comparison else []
    return Page(
        title=title,
        command=told(runs.record.command),
        verdicts=_verdicts(comparison, why_not),
        asides=_asides(comparison) if comparison else [],
        points=sections.points_table(points, comparison),
        environment=environment(runs),
        expected=sections.expectations_table(read_findings(runs.folder)),
        folder=FIGURES,
        drawings=_drawings(points, folder / FIGURES),
        baseline=baseline_name(comparison.baseline) if comparison else "",
        primary=sections.comparison_table([row for row in rows if row.primary]),
        secondary=sections.comparison_table([row for row in rows if not row.primary]),
        latencies=sections.latency_table(points),
        proof=sections.proof_table(points),
        runs=sections.runs_table(points),
    )


def _verdicts(comparison: Comparison | None, why_not: str) -> list[Mark]:
    if comparison is None:
        return [Mark(f"No comparison: {why_not}.")]
    return [*conclusions(comparison), *(Mark(warning, BAD) for warning in warnings(comparison))]


def _asides(comparison: Comparison) -> list[Mark]:
    """Controls, and runs that the comparison does without."""
    asides = []
    if beside := controls(comparison):
        asides.append(Mark("; ".join(beside) + ".", SOFT))
    if comparison.left_out:
        by_reason: dict[str, list[str]] = {}
        for run, reason in comparison.left_out:
            by_reason.setdefault(reason.partition(":")[0], []).append(run.name)
        runs = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
        asides.append(Mark(f"Not compared: {'; '.join(runs)}.", BAD))
    return asides


def _drawings(points: Sequence[Point], folder: Path) -> dict[str, list[Drawing]]:
    """By heading: task sets have drawings of their own."""
    by_task_set = [(name, list(same)) for name, same in groupby(points, lambda p: p.task_set)]
    several = len(by_task_set) > 1
    drawings = {
        f"Figures: {name}" if several else "Figures": list(
            draw(same, folder, f"_{NO_NAME.sub('_', name)}" if several else "")
        )
        for name, same in by_task_set
    }
    return {heading: drawn for heading, drawn in drawings.items() if drawn}
