"""A comparison for people and for programs: in the terminal, as CSV, LaTeX and JSON."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from runner.metrics.intervals import LEVEL, Estimate, Interval, significant
from runner.results.comparison import CLOCKS_APART, NULL_CONTROL, Comparison, Row
from runner.results.console import console, table

ROLE = {True: "primary", False: "secondary"}
INEFFECTIVE = "ineffective"
CLOCKS_DIFFER = "SM clocks differ"
#: Where a run does not depend on a swept key.
ANY = "any"
INTERVAL = f"{LEVEL:.0%} interval".replace("%", " %")


def point(arm: str, values: dict[str, str | None]) -> str:
    """``xsched, threshold=8``."""
    named = [f"{k.rpartition('.')[2]}={v}" for k, v in values.items() if v is not None]
    return ", ".join([arm, *named])


def change(row: Row) -> str:
    """The ratio, or the difference with its sign."""
    if row.ratio is not None:
        return significant(row.ratio)
    if row.difference is None:
        return "–"
    return f"{'+' if row.difference >= 0 else ''}{significant(row.difference)}"


def verdict(row: Row) -> str:
    """The verdict, whether the null control does the same, and whether the clocks were others."""
    known = ((INEFFECTIVE, row.ineffective), (CLOCKS_DIFFER, row.clocks_differ))
    return "; ".join([row.verdict, *(name for name, is_so in known if is_so)])


def clock_warning(found: Comparison) -> str:
    """Which treatments ran at other clocks than the baseline, in a sentence; "" if none did."""
    several = len({row.task_set for row in found.rows}) > 1
    apart = [
        f"{f'{row.task_set}: ' if several else ''}{point(row.treatment, row.values)} at "
        f"{significant(row.clock_ratio)} times the clock"
        for row in found.clocks_apart
        if row.clock_ratio
    ]
    if not apart:
        return ""
    return (
        f"{CLOCKS_DIFFER} from those of {found.baseline} by more than {CLOCKS_APART:.0%}: "
        f"{'; '.join(apart)} (medians, the pair of runs furthest apart). What is compared there is "
        "not the scheduling alone."
    ).replace("%", " %")


# ------------------------------------------------------------------------------ terminal


def show(found: Comparison) -> None:
    """The primary figure of every arm, a table for each treatment, and what was left out."""
    several = len({row.task_set for row in found.rows}) > 1
    console.print(_arms(found, several))
    for head, rows in groupby(found.rows, lambda row: (row.task_set, row.treatment, row.values)):
        task_set, arm, values = head
        named = f"{task_set}: {point(arm, values)}" if several else point(arm, values)
        _show_treatment(f"{named} against {found.baseline}", _once(rows))
    for row in _once(found.ineffective):
        console.print(
            Text(
                f"{point(row.treatment, row.values)} is ineffective: it cannot be told from "
                f"{NULL_CONTROL} in {row.figure}",
                style="yellow",
            )
        )
    if warning := clock_warning(found):
        console.print(Text(warning, style="bold red"))
    for run, reason in found.left_out:
        console.print(Text(f"not compared: {run.name} (repeat {run.repeat}): {reason}"))


def _arms(found: Comparison, several: bool) -> Table:
    keys = [key.rpartition(".")[2] for key in found.swept]
    heads = [*(["task set"] if several else []), "arm", *keys]
    rows = table(*heads, found.arms[0].figure, INTERVAL, "repeats")
    for row in found.arms:
        cells = (
            *([row.task_set] if several else []),
            row.arm,
            *(row.values.get(key) or ANY for key in found.swept),
            f"{significant(row.value.value)} {row.unit}",
            _interval(row.value.interval),
            str(row.repeats),
        )
        rows.add_row(*map(Text, cells))
    return rows


def _show_treatment(title: str, rows: list[Row]) -> None:
    repeats = {row.repeats for row in rows}
    varying = len(repeats) > 1
    console.print(Text(title if varying else f"{title}, {_repeats(*repeats)}", style="bold"))
    heads = ("primary", "baseline", "treatment", "ratio", INTERVAL)
    result = table(*heads, *(["repeats"] if varying else []))
    result.add_column("verdict")
    for number, row in enumerate(rows):
        if number and rows[number - 1].primary and not row.primary:
            result.add_row()
            result.add_row("secondary, Holm-corrected")
        cells = (
            f"{row.figure} ({row.tasks[0]})" if _is_whole_priority(row) else row.figure,
            significant(row.baseline_value.value),
            significant(row.treatment_value.value),
            change(row),
            _interval(row.interval),
            *([str(row.repeats)] if varying else []),
            verdict(row),
        )
        result.add_row(*map(Text, cells), style="bold" if row.primary else None)
    console.print(result)


def _repeats(count: int) -> str:
    return f"{count} repeat{'' if count == 1 else 's'}"


def _once(rows: Iterable[Row]) -> list[Row]:
    """Without the task that is alone in its priority: its figures are the priority's."""
    kept: dict[object, Row] = {}
    for row in rows:
        point = (row.task_set, row.treatment, tuple(row.values.items()))
        kept.setdefault((point, row.metric, row.tasks), row)
    return list(kept.values())


def _is_whole_priority(row: Row) -> bool:
    return len(row.tasks) == 1 and row.scope != row.tasks[0]


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else interval.show()


# ------------------------------------------------------------------------------ programs


def as_csv(found: Comparison) -> str:
    """One line a row; an end that is "> max" is ``inf``, what is not known is empty."""
    text = io.StringIO()
    lines = [_csv_line(found, row) for row in found.rows]
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_line(found: Comparison, row: Row) -> dict[str, object]:
    return {
        "task_set": row.task_set,
        "figure": row.figure,
        "scope": row.scope,
        "metric": row.metric,
        "unit": row.unit,
        "role": ROLE[row.primary],
        **{key: row.values.get(key) or ANY for key in found.swept},
        "baseline": row.baseline,
        "treatment": row.treatment,
        "repeats": row.repeats,
        **_ends("baseline_", row.baseline_value),
        **_ends("treatment_", row.treatment_value),
        "ratio": row.ratio,
        "difference": row.difference,
        "low": row.interval.low if row.interval else None,
        "high": row.interval.high if row.interval else None,
        "level": LEVEL,
        "p": row.p,
        "verdict": row.verdict,
        "ineffective": row.ineffective,
        "clock_ratio": row.clock_ratio,
        "clocks_differ": row.clocks_differ,
    }


def _ends(prefix: str, estimate: Estimate) -> dict[str, float | None]:
    interval = estimate.interval
    return {
        f"{prefix}value": estimate.value,
        f"{prefix}low": interval.low if interval else None,
        f"{prefix}high": interval.high if interval else None,
    }


def as_plain(found: Comparison) -> dict[str, Any]:
    """All of it, to be written as JSON; an infinite end of an interval becomes null there, which is
    "> max" (high) or "< min" (low)."""
    return {
        "schema": 1,
        "baseline": found.baseline,
        "level": LEVEL,
        "swept": found.swept,
        "arms": [asdict(row) for row in found.arms],
        "rows": [asdict(row) | {"clocks_differ": row.clocks_differ} for row in found.rows],
        "left_out": [
            {"name": run.name, "repeat": run.repeat, "reason": reason}
            for run, reason in found.left_out
        ],
    }


LATEX = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
}


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(LATEX.get(letter, letter) for letter in text)


#: Beside a ratio, and before what it means.
DAGGER = r"$^{\dagger}$"


def as_latex(found: Comparison) -> str:
    """A tabular to \\input, for the package booktabs; primary figures are set in bold, and a dagger
    marks ratios of arms whose clocks differ."""
    heads = ("arm", "metric", "of", "baseline", "treatment", "ratio", INTERVAL, "verdict")
    lines = [
        f"% baseline {found.baseline}; bold: primary, the others are secondary (Holm-corrected)",
        r"\begin{tabular}{lllrrrll}",
        r"\toprule",
        " & ".join(map(latex, heads)) + r" \\",
        r"\midrule",
        *(_latex_line(row) for row in _once(found.rows)),
        *_latex_notes(found, len(heads)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_notes(found: Comparison, columns: int) -> list[str]:
    if not (warning := clock_warning(found)):
        return []
    text = rf"\parbox{{\linewidth}}{{\footnotesize {DAGGER} {latex(warning)}}}"
    return [r"\midrule", rf"\multicolumn{{{columns}}}{{l}}{{{text}}} \\"]


def _latex_line(row: Row) -> str:
    cells = (
        point(row.treatment, row.values),
        row.metric,
        row.scope,
        significant(row.baseline_value.value),
        significant(row.treatment_value.value),
        change(row),
        _interval(row.interval),
        verdict(row),
    )
    texts = [latex(cell) for cell in cells]
    if row.clocks_differ:
        texts[5] += DAGGER
    return " & ".join(rf"\textbf{{{t}}}" if row.primary else t for t in texts) + r" \\"
