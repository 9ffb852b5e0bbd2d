"""What a comparison and expectations came to, in a sentence or two."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from runner.results.cells import BAD, GOOD, NEITHER, Mark
from runner.results.comparison import NULL_CONTROL, Comparison, Row, is_treatment
from runner.results.expectations import INCONCLUSIVE, MET, NOT_MET, Finding
from runner.results.judging import BETTER, NO_DIFFERENCE, WORSE, Beside
from runner.results.wording import (
    INTERVAL,
    baseline_name,
    change,
    figure_name,
    ineffective,
    interval,
    numbers,
    repeats,
    treatment_name,
)
from runner.runs.repeats import MIN_REPEATS

KINDS = {BETTER: GOOD, WORSE: BAD}


def conclusions(comparison: Comparison) -> list[Mark]:
    """A sentence for each task set, about its primary figure."""
    several = len({row.task_set for row in comparison.primary}) > 1
    sentences = []
    for task_set, rows in groupby(comparison.primary, lambda row: row.task_set):
        primary = list(rows)
        main = [row for row in primary if is_treatment(row.treatment)] or primary
        text, kind = _one(main[0]) if len(main) == 1 else _several(main)
        sentences.append(Mark(f"{task_set}: {text}" if several else text, kind))
    return sentences


def controls(comparison: Comparison) -> list[str]:
    """The primary figure of each arm beside XSched, in a few words."""
    others: dict[tuple[str, str], list[Row]] = {}
    for row in comparison.primary:
        if not is_treatment(row.treatment):
            others.setdefault((row.treatment, row.baseline), []).append(row)
    if sum(map(len, others.values())) == len(comparison.primary):  # there is no XSched
        return []
    return [
        f"{arm} against {baseline_name(baseline)}: {_verdicts(rows)}{_reach(rows)}"
        for (arm, baseline), rows in others.items()
    ]


def expected(findings: Sequence[Finding]) -> list[Mark]:
    """A sentence on all expectations, which names those that are not met or inconclusive."""
    if not findings:
        return []
    same = {v: [f.what for f in findings if f.verdict == v] for v in (MET, NOT_MET, INCONCLUSIVE)}
    counts = f"Expectations: {', '.join(f'{len(n)} {v}' for v, n in same.items() if n)}."
    named = [
        f" {v.capitalize()}: {'; '.join(same[v])}." for v in (NOT_MET, INCONCLUSIVE) if same[v]
    ]
    kind = BAD if same[NOT_MET] else NEITHER if same[INCONCLUSIVE] else GOOD
    return [Mark(counts + "".join(named), kind)]


def _one(row: Row) -> Mark:
    arm, baseline = treatment_name(row), baseline_name(row.baseline)
    if row.verdict in KINDS:
        opening = f"{arm} is {row.verdict} than {baseline}"
    elif row.verdict == NO_DIFFERENCE:
        opening = f"No difference shown between {arm} and {baseline}"
    else:
        opening = f"No verdict on {arm} against {baseline}"
    before, after, effect, _ = numbers(row)
    sides = f"{after} against {before} {row.unit}"
    pace = " at equal pace" if row.as_measured else ""
    by = f"{effect} times as much{pace}" if row.ratio is not None else f"a difference of {effect}"
    sentence = f"{opening}: {_figure(row)} is {sides}, {by} ({_details(row)})."
    if row.beside_null is Beside.INEFFECTIVE:
        return Mark(f"{sentence} {ineffective(row)}.", BAD)
    return Mark(sentence, KINDS.get(row.verdict, NEITHER))


def _figure(row: Row) -> str:
    return f"{figure_name(row.metric)} of {row.scope}"


def _details(row: Row) -> str:
    if row.interval is None:
        few = f", and a verdict takes {MIN_REPEATS}" if row.repeats < MIN_REPEATS else ""
        return repeats(row.repeats) + few
    return f"{INTERVAL} {interval(row.interval)}, {repeats(row.repeats)}"


def _several(rows: Sequence[Row]) -> Mark:
    """Of several treatments: how many came to which verdict, and how far they reach."""
    sentence = (
        f"{_figure(rows[0])} against {baseline_name(rows[0].baseline)}, {len(rows)} treatments: "
        f"{_verdicts(rows)}{_reach(rows)}"
    )
    if null := sum(row.beside_null is Beside.INEFFECTIVE for row in rows):
        said = f"{null} {Beside.INEFFECTIVE} beside {NULL_CONTROL}"
        return Mark(f"{sentence}. {said}.", BAD)
    verdicts = {row.verdict for row in rows}
    return Mark(f"{sentence}.", KINDS.get(verdicts.pop(), NEITHER) if len(verdicts) == 1 else "")


def _verdicts(rows: Sequence[Row]) -> str:
    if len(rows) == 1:
        return rows[0].verdict
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def _reach(rows: Sequence[Row]) -> str:
    """The effect, or the smallest and the largest with where they are."""
    known = sorted((row for row in rows if row.effect is not None), key=lambda row: row.effect or 0)
    if not known:
        return ""
    what = "ratio" if known[0].ratio is not None else "difference"
    low, high = known[0], known[-1]
    if low is high:
        return f"; {what} {change(low)}"
    return (
        f"; {what}s from {change(low)} ({treatment_name(low)}) to "
        f"{change(high)} ({treatment_name(high)})"
    )
