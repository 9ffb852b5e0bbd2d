"""What a comparison says, in the words and numbers that all its forms share."""

from collections.abc import Iterable, Sequence

from runner.metrics.intervals import LEVEL, Estimate, Interval, significant
from runner.metrics.paired import MARGIN
from runner.results.comparison import ALONE, CLOCKS_APART, FLOOR, NULL_CONTROL, Comparison, Row
from runner.results.console import IS_MAXIMUM
from runner.results.judging import NO_DIFFERENCE, Beside
from runner.results.points import spoken

CLOCKS_DIFFER = "SM clocks differ"
PLACEMENTS_DIFFER = "placements differ"
#: Where a run does not depend on a swept key.
ANY = "any"
UNKNOWN = "–"
#: Where a row says `unshown`.
CORRECTION = (
    "An interval is of its row alone. A verdict also counts how many rows are judged with it "
    "(Holm's correction) and, from six repeats on, whether it outlasts flipped signs."
)
INTERVAL = f"{LEVEL:.0%} interval".replace("%", " %")


def figure_name(metric: str) -> str:
    """``p99_ms`` is ``p99`` where the unit is said with the number."""
    return metric.removesuffix("_ms").removesuffix("_rps").replace("_", " ")


def stem_of(metric: str) -> str:
    """Of the files that a metric is drawn in."""
    return figure_name(metric).replace(" ", "_")


def short_key(key: str) -> str:
    """``xsched.probe_work_us`` is ``probe work`` to a reader, whom the unit is told beside it."""
    return key.rpartition(".")[2].removesuffix("_us").replace("_", " ")


def baseline_name(selector: str) -> str:
    """``xsched,xsched.threshold=8`` is ``xsched, threshold=8`` to a reader."""
    arm, *fixed = selector.split(",")
    return spoken(arm, dict(text.split("=", 1) for text in fixed))


def about(rows: Sequence[Row]) -> str:
    """The figure that all rows are of, "" for several."""
    figures = {figure_and_task(row) for row in rows}
    return figures.pop() if len(figures) == 1 else ""


def figure_and_task(row: Row) -> str:
    """The figure as --primary takes it, and the task that is alone in its priority."""
    alone = len(row.tasks) == 1 and row.scope != row.tasks[0]
    return f"{row.figure} ({row.tasks[0]})" if alone else row.figure


def treatment_name(row: Row) -> str:
    return spoken(row.treatment, row.values)


def spread(values: Iterable[float | None], style: str) -> str:
    """``2 to 4``: the least and the most that is known, in a format; "" if nothing is."""
    known = sorted({f"{each:{style}}" for each in values if each is not None}, key=float)
    return " to ".join(dict.fromkeys((known[0], known[-1]))) if known else ""


def repeats(count: int) -> str:
    return f"{count} repeat{'' if count == 1 else 's'}"


def value(estimate: Estimate | None) -> tuple[str, str]:
    """An estimate and its interval."""
    if estimate is None:
        return UNKNOWN, UNKNOWN
    return amount(estimate), interval(estimate.interval)


def within(repeats: int) -> str:
    """Behind an interval that knows nothing of other runs."""
    return " (this run only)" if repeats == 1 else ""


def amount(estimate: Estimate) -> str:
    """A quantile that is the maximum for want of requests is called that."""
    return significant(estimate.value) + (IS_MAXIMUM if estimate.is_maximum else "")


def interval(known: Interval | None) -> str:
    return UNKNOWN if known is None else str(known)


def change(row: Row) -> str:
    """The ratio, or the difference with its sign."""
    if row.effect is None:
        return UNKNOWN
    sign = "+" if row.ratio is None and row.effect >= 0 else ""
    return f"{sign}{significant(row.effect)}"


def numbers(row: Row) -> tuple[str, str, str, str]:
    """Baseline, treatment, the change from one to the other, its interval."""
    sides = (row.baseline_value, row.treatment_value)
    baseline, treatment = map(amount, sides)
    return baseline, treatment, change(row), interval(row.interval)


def as_measured(row: Row) -> str:
    """The ratio with its interval whatever the pace."""
    return " ".join(value(row.as_measured)) if row.as_measured else UNKNOWN


def verdict(row: Row) -> str:
    """The verdict, why there is no other, what is known beside the null control, and what else
    differs."""
    told = row.beside_null in (Beside.INEFFECTIVE, Beside.UNDECIDED)
    known = (
        (f"{row.beside_null} beside {NULL_CONTROL}", told),
        (CLOCKS_DIFFER, row.clocks_differ),
        (PLACEMENTS_DIFFER, row.placements_differ),
    )
    own = f"{row.verdict} ({why})" if (why := unshown(row)) else row.verdict
    return "; ".join([own, *(name for name, is_so in known if is_so)])


def unshown(row: Row) -> str:
    """Why no difference is shown though the interval leaves none out; "" where that is not so."""
    if row.verdict != NO_DIFFERENCE or row.interval is None or row.p is None:
        return ""
    if (0.0 if row.ratio is None else 1.0) in row.interval:
        return ""
    if row.p >= 1 - LEVEL:
        return f"corrected p = {significant(row.p)}"
    return f"p = {significant(row.p_flips or 1.0)} by flipped signs"


def ineffective(row: Row) -> str:
    """What that means."""
    margin = f"{MARGIN:.0%}".replace("%", " %")
    shown = f"shown to differ from {NULL_CONTROL} by less than {margin}"
    return f"{treatment_name(row)} is {Beside.INEFFECTIVE}: {shown}"


def warnings(comparison: Comparison) -> list[str]:
    """In what else than the scheduling treatments differ from the baseline, and what cannot be, a
    sentence each."""

    def named(row: Row) -> str:
        set_ = f"{row.task_set}: " if comparison.several_task_sets else ""
        return f"{set_}{treatment_name(row)}"

    clocks = [
        f"{named(row)} at {significant(row.clock_ratio)} times the clock"
        for row in comparison.unlike
        if row.clocks_differ and row.clock_ratio
    ]
    places = [
        f"{named(row)} in {row.places[1]}" for row in comparison.unlike if row.placements_differ
    ]
    said = []
    if clocks:
        apart = f"{CLOCKS_APART:.0%}".replace("%", " %")
        said.append(
            f"{CLOCKS_DIFFER} from those of {comparison.baseline} by more than {apart}: "
            f"{'; '.join(clocks)} (medians, the pair of runs furthest apart). What is compared "
            "there is not the scheduling alone."
        )
    if places:
        baseline = next(row.places[0] for row in comparison.unlike if row.placements_differ)
        said.append(
            f"{PLACEMENTS_DIFFER}: {comparison.baseline} ran in {baseline}, {'; '.join(places)}. "
            "What is compared there is not the scheduling alone."
        )
    if len(comparison.devices) > 1:
        said.append(
            f"Repeats ran on {len(comparison.devices)} devices, each on one: "
            f"{', '.join(map(str, comparison.devices))}. How devices differ is in the intervals."
        )
    if comparison.far_apart:
        arms = "; ".join(f"{named(r)} {r.hours_apart:.0f} h" for r in comparison.far_apart)
        said.append(
            f"Runs of one repeat were measured hours apart from {comparison.baseline}: {arms} (the "
            "pair furthest apart). They are pairs in name only: what changed between is in the "
            "ratio, and in no interval."
        )
    if comparison.too_fast:
        arms = "; ".join(
            f"{named(row)}, {row.scope}: {change(row)} {interval(row.interval)}"
            for row in comparison.too_fast
        )
        said.append(
            f"A fault of measurement: faster than {ALONE.arm} in {figure_name(FLOOR)}: {arms}. "
            "Nothing beside a task makes it faster, so something else than the scheduling did."
        )
    return said
