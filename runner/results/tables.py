"""A comparison for people and for programs: in the terminal, as CSV, LaTeX and JSON."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from runner.metrics.intervals import LEVEL, Estimate
from runner.results import cells, sections
from runner.results.cells import BAD, GOOD, NEITHER, SOFT, Mark
from runner.results.comparison import Comparison, Row
from runner.results.console import console, table
from runner.results.outcome import Outcome
from runner.results.wording import (
    ANY,
    CORRECTION,
    INTERVAL,
    about,
    as_measured,
    baseline_name,
    numbers,
    treatment_name,
    unshown,
    verdict,
    warnings,
)

#: Of comparison.json. In version 1 a task that is alone in its priority had a row of its own; in
#: version 2 p was corrected within a treatment, and `ineffective` was true, false or null.
SCHEMA = 3


# --- terminal ------------------------------------------------------------------------------------

STYLES = {GOOD: "green", BAD: "bold red", SOFT: "dim", NEITHER: ""}


def show(outcome: Outcome) -> None:
    """What runs came to, in one screen: the primary figure of every point, and the verdicts."""
    show_table(sections.points_table(outcome.points, outcome.comparison))
    for mark in (*outcome.verdicts, *outcome.asides):
        console.print(Text(mark.text, style=STYLES[mark.kind]))
    show_table(sections.expectations_table(outcome.findings))


def show_comparison(comparison: Comparison, everything: bool) -> None:
    """The primary figure of every treatment or, of `everything`, all figures of each, and what was
    left out."""
    baseline = baseline_name(comparison.baseline)
    show_rows(f"{about(comparison.primary) or 'Arms'} against {baseline}", comparison.primary)
    for rows in comparison.by_treatment if everything else ():
        task_set = f"{rows[0].task_set}: " if comparison.several_task_sets else ""
        title = f"{task_set}{treatment_name(rows[0])} against {baseline}, secondary figures"
        show_rows(title, [row for row in rows if not row.primary])
    if any(unshown(row) for row in (comparison.rows if everything else comparison.primary)):
        console.print(CORRECTION)
    for run, reason in comparison.left_out:
        console.print(Text(f"not compared: {run.name} (repeat {run.repeat}): {reason}"))


def show_rows(title: str, rows: Sequence[Row]) -> None:
    if rows:
        console.print(Text(title, style="bold"))
        show_table(sections.comparison_table(rows))


def show_table(content: cells.Table) -> None:
    """A table without lines is not shown."""
    if not content:
        return
    columns = content[0].cells
    shown = table(
        *(cell.head for cell in columns),
        left=[cell.head for cell in columns if cell.kind != "number"],
        minor=[cell.head for cell in columns if cell.minor],
    )
    for line in content:
        marks = [c.content if isinstance(c.content, Mark) else Mark(c.content) for c in line.cells]
        shown.add_row(*(Text(mark.text, style=STYLES[mark.kind]) for mark in marks))
    console.print(shown)


# --- programs ------------------------------------------------------------------------------------


def as_csv(comparison: Comparison) -> str:
    """One line a row; an end that is "> max" is ``inf``, what is not known is empty."""
    text = io.StringIO()
    lines = [_csv_line(comparison, row) for row in comparison.rows]
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_line(comparison: Comparison, row: Row) -> dict[str, object]:
    return {
        "task_set": row.task_set,
        "figure": row.figure,
        "scope": row.scope,
        "tasks": ", ".join(row.tasks),
        "metric": row.metric,
        "unit": row.unit,
        "role": "primary" if row.primary else "secondary",
        **{key: row.values.get(key) or ANY for key in comparison.swept},
        "baseline": row.baseline,
        "treatment": row.treatment,
        "repeats": row.repeats,
        **_ends("baseline_", row.baseline_value),
        **_ends("treatment_", row.treatment_value),
        "ratio": row.ratio,
        "difference": row.difference,
        "low": row.interval.low if row.interval else None,
        "high": row.interval.high if row.interval else None,
        **_ends("as_measured_", row.as_measured),
        "level": LEVEL,
        "p": row.p,
        "p_sign_flips": row.p_flips,
        "verdict": row.verdict,
        "beside_null": row.beside_null,
        "clock_ratio": row.clock_ratio,
        "clocks_differ": row.clocks_differ,
        "baseline_placement": row.places[0],
        "treatment_placement": row.places[1],
    }


def _ends(prefix: str, estimate: Estimate | None) -> dict[str, float | None]:
    interval = estimate.interval if estimate else None
    return {
        f"{prefix}value": estimate.value if estimate else None,
        f"{prefix}low": interval.low if interval else None,
        f"{prefix}high": interval.high if interval else None,
    }


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """All of it, to be written as JSON; an infinite end of an interval becomes null there, which is
    "> max" (high) or "< min" (low)."""
    return {
        "schema": SCHEMA,
        "baseline": comparison.baseline,
        "level": LEVEL,
        "swept": comparison.swept,
        "arms": [asdict(row) for row in comparison.arms],
        "rows": [asdict(row) | {"clocks_differ": row.clocks_differ} for row in comparison.rows],
        "devices": [asdict(each) for each in comparison.devices],
        "left_out": [
            {"name": run.name, "repeat": run.repeat, "reason": reason}
            for run, reason in comparison.left_out
        ],
    }


# --- papers --------------------------------------------------------------------------------------

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "–": "--",
        **{letter: f"\\{letter}" for letter in "%_&#${}"},
    }
)
#: Beside a ratio, and before what it means.
DAGGER = r"$^{\dagger}$"


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return text.translate(LATEX)


def as_latex(comparison: Comparison, everything: bool = False) -> str:
    """A tabular to \\input, for the package booktabs: the primary figure of every treatment or, of
    `everything`, all figures, the primary ones in bold. A dagger marks ratios of arms that differ
    in more than their scheduling."""
    rows = comparison.rows if everything else comparison.primary
    paced = any(row.as_measured for row in rows)
    heads = [*("arm", "metric", "of", "baseline", "treatment", "ratio", INTERVAL), "verdict"]
    if paced:
        heads.insert(-1, "as measured")
    warning = " ".join(warnings(comparison))
    said = [f"{DAGGER} {latex(warning)}"] if warning else []
    said += [latex(CORRECTION)] if any(map(unshown, rows)) else []
    bold = "; bold: primary, the others are secondary (Holm-corrected)" if everything else ""
    lines = [
        f"% baseline {comparison.baseline}{bold}; \\usepackage{{booktabs}} has the rules",
        rf"\begin{{tabular}}{{lllrrrl{'l' * paced}l}}",
        r"\toprule",
        " & ".join(map(latex, heads)) + r" \\",
        r"\midrule",
        *(_latex_line(row, paced, everything and row.primary) for row in rows),
        *([r"\midrule"] if said else []),
        *(_latex_note(note, len(heads)) for note in said),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_note(text: str, columns: int) -> str:
    note = rf"\parbox{{\linewidth}}{{\footnotesize {text}}}"
    return rf"\multicolumn{{{columns}}}{{l}}{{{note}}} \\"


def _latex_line(row: Row, paced: bool, bold: bool) -> str:
    baseline, treatment, change, interval = map(latex, numbers(row))
    dagger = "" if row.alike else DAGGER
    texts = (
        *map(latex, (treatment_name(row), row.metric, row.scope)),
        *(baseline, treatment, change + dagger, interval),
        *([latex(as_measured(row))] if paced else []),
        latex(verdict(row)),
    )
    return " & ".join(rf"\textbf{{{t}}}" if bold else t for t in texts) + r" \\"
