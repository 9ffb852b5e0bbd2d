"""A comparison for people and for programs: in the terminal, as CSV, LaTeX and JSON."""

import csv
import io
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from runner.metrics.intervals import LEVEL, Estimate
from runner.results.comparison import Comparison, Row
from runner.results.console import console, table
from runner.results.wording import (
    ANY,
    INTERVAL,
    as_measured,
    ineffective,
    numbers,
    repeats,
    treatment_name,
    value,
    verdict,
    warnings,
    within,
)

#: Of comparison.json. In version 1 a task that is alone in its priority had a row of its own; in
#: version 2 p was corrected within a treatment, and `ineffective` was true, false or null.
SCHEMA = 3


# --- terminal ------------------------------------------------------------------------------------


def show(comparison: Comparison) -> None:
    """The primary figure of every arm, a table for each treatment, and what was left out."""
    console.print(_arms(comparison))
    for rows in comparison.by_treatment:
        task_set = f"{rows[0].task_set}: " if comparison.several_task_sets else ""
        _show_treatment(f"{task_set}{treatment_name(rows[0])} against {comparison.baseline}", rows)
    for row in comparison.ineffective:
        console.print(Text(f"{ineffective(row)} in {row.figure}", style="yellow"))
    for warning in warnings(comparison):
        console.print(Text(warning, style="bold red"))
    for run, reason in comparison.left_out:
        console.print(Text(f"not compared: {run.name} (repeat {run.repeat}): {reason}"))


def _arms(comparison: Comparison) -> Table:
    several = comparison.several_task_sets
    keys = [key.rpartition(".")[2] for key in comparison.swept]
    heads = [*(["task set"] if several else []), "arm", *keys]
    lines = table(*heads, comparison.arms[0].figure, INTERVAL, "repeats")
    for row in comparison.arms:
        amount, interval = value(row.value)
        cells = (
            *([row.task_set] if several else []),
            row.arm,
            *(row.values.get(key) or ANY for key in comparison.swept),
            f"{amount} {row.unit}",
            interval + within(row.repeats),
            str(row.repeats),
        )
        lines.add_row(*map(Text, cells))
    return lines


def _show_treatment(title: str, rows: list[Row]) -> None:
    counts = {row.repeats for row in rows}
    varying = len(counts) > 1
    console.print(Text(title if varying else f"{title}, {repeats(*counts)}", style="bold"))
    paced = any(row.as_measured for row in rows)
    heads = ("primary", "baseline", "treatment", "ratio", INTERVAL)
    lines = table(*heads, *(["as measured"] if paced else []), *(["repeats"] if varying else []))
    lines.add_column("verdict")
    for number, row in enumerate(rows):
        if number and rows[number - 1].primary and not row.primary:
            lines.add_row()
            lines.add_row("secondary, Holm-corrected")
        alone = len(row.tasks) == 1 and row.scope != row.tasks[0]
        cells = (
            f"{row.figure} ({row.tasks[0]})" if alone else row.figure,
            *numbers(row),
            *([as_measured(row)] if paced else []),
            *([str(row.repeats)] if varying else []),
            verdict(row),
        )
        lines.add_row(*map(Text, cells), style="bold" if row.primary else None)
    console.print(lines)


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


def as_latex(comparison: Comparison) -> str:
    """A tabular to \\input, for the package booktabs; primary figures are set in bold, and a dagger
    marks ratios of arms that differ in more than their scheduling."""
    paced = any(row.as_measured for row in comparison.rows)
    heads = [*("arm", "metric", "of", "baseline", "treatment", "ratio", INTERVAL), "verdict"]
    if paced:
        heads.insert(-1, "as measured")
    notes = []
    if warning := " ".join(warnings(comparison)):
        text = rf"\parbox{{\linewidth}}{{\footnotesize {DAGGER} {latex(warning)}}}"
        notes = [r"\midrule", rf"\multicolumn{{{len(heads)}}}{{l}}{{{text}}} \\"]
    lines = [
        f"% baseline {comparison.baseline}; bold: primary, the others are secondary "
        "(Holm-corrected)",
        rf"\begin{{tabular}}{{lllrrrl{'l' * paced}l}}",
        r"\toprule",
        " & ".join(map(latex, heads)) + r" \\",
        r"\midrule",
        *(_latex_line(row, paced) for row in comparison.rows),
        *notes,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_line(row: Row, paced: bool) -> str:
    baseline, treatment, change, interval = map(latex, numbers(row))
    dagger = "" if row.alike else DAGGER
    texts = (
        *map(latex, (treatment_name(row), row.metric, row.scope)),
        *(baseline, treatment, change + dagger, interval),
        *([latex(as_measured(row))] if paced else []),
        latex(verdict(row)),
    )
    return " & ".join(rf"\textbf{{{t}}}" if row.primary else t for t in texts) + r" \\"
