"""Which drawings a report has: the runs decide."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Image

from runner.config.arms import Arm
from runner.config.settings import is_number
from runner.metrics import METRICS, Metric
from runner.metrics.intervals import Estimate
from runner.metrics.latency import FIGURES
from runner.metrics.names import Figure, figure_named
from runner.metrics.sharing import entitlements, progress
from runner.results.drawings import plots
from runner.results.drawings.plots import NOTHING, Curve, Look, Panel, Series, Share
from runner.results.drawings.style import save
from runner.results.drawings.timelines import timelines
from runner.results.points import Point, combined, spoken, swept_values
from runner.results.report.page import Drawing
from runner.results.wording import INTERVAL, figure_name, short_key, spread, stem_of
from runner.runs import timeline

#: More lines in one drawing cannot be told apart; more rows do not fit on a page.
MOST_LINES, MOST_ROWS, MOST_PANELS, MOST_LANES = 7, 30, 3, 24
P99 = METRICS["p99_ms"]
UNITS = {
    "threshold": "commands",
    "batch_size": "commands",
    "timeslice_us": "µs",
    "probe_work_us": "µs",
    "work_us": "µs",
    "load": "share of solo",
}


#: Stem, drawing, caption.
Sketch = tuple[str, Image, str]


def draw(
    points: Sequence[Point], folder: Path, suffix: str = "", primary: str | None = None
) -> Iterator[Drawing]:
    """All drawings of one task set's points, written to `folder`. primary: the figure that
    decides."""
    shown = [point for point in points if point.priorities]
    wrong = [point.label for point in shown if not all(run.summary.valid for run in point.counted)]
    warning = f" Not valid, shown all the same: {'; '.join(wrong)}." if wrong else ""
    for stem, figure, caption in _sketches(shown, primary) if shown else ():
        image = folder / f"{stem}{suffix}.png"
        save(figure, image, image.with_suffix(".pdf"))
        yield Drawing(image.stem, caption + warning, image)


def _sketches(points: Sequence[Point], primary: str | None) -> Iterator[Sketch]:
    priorities = sorted({p for point in points for p in point.priorities}, reverse=True)
    if len(priorities) > MOST_PANELS:  # the most urgent ones and the last
        priorities = [*priorities[: MOST_PANELS - 1], priorities[-1]]
    yield from _distributions(points, priorities)
    yield from _metric(P99, points, priorities)
    deciding = figure_named(primary or f"{P99.tag}/priority_{priorities[0]}")
    if deciding.metric is not P99 and not deciding.metric.of_all:
        yield from _metric(deciding.metric, points, priorities)
    yield from _heat_maps(points, deciding)
    yield from _shares(points)
    yield from _timelines(points)


def _runs(points: Sequence[Point]) -> str:
    """How many runs are behind a drawing, and what its intervals are."""
    number = spread((len(point.counted) for point in points), "d")
    if number == "1":
        return f"One run each; {INTERVAL}s of this run only, an arrow where one has no end."
    return f"Geometric mean of {number} runs each, with {INTERVAL}s over the runs."


def _hollow(metric: Metric, points: Sequence[Point], priorities: Sequence[int]) -> str:
    """What a hollow marker means, if there is one."""
    largest = any(_of(metric, point, p).is_maximum for point in points for p in priorities)
    return " Hollow: the maximum, for want of requests." if largest else ""


def _swept_keys(points: Sequence[Point]) -> list[str]:
    """Keys, other than the arm, with more than one value."""
    keys = dict.fromkeys(key for point in points for key in point.values)
    return [key for key in keys if len(swept_values(points, key)) > 1]


def _key_label(key: str) -> str:
    unit = UNITS.get(key.rpartition(".")[2], "")
    return f"{short_key(key)} ({unit})" if unit else short_key(key)


# --- distributions -------------------------------------------------------------------------------


def _distributions(points: Sequence[Point], priorities: Sequence[int]) -> Iterator[Sketch]:
    chosen = _chosen(points, priorities[0])
    looks = _looks(chosen)
    panels = []
    for priority in priorities:
        curves = [
            Curve(point.label, np.concatenate(point.response_ms(priority)), look)
            for point, look in zip(chosen, looks, strict=True)
            if priority in point.priorities
        ]
        panels.append(Panel(f"priority {priority}", curves=curves))
    cut = ""
    if len(chosen) < len(points):
        extremes = f"those with the lowest and the highest p99 of priority {priorities[0]}"
        cut = f" Of {len(points)} points, {extremes} in each arm."
    said = "Response latency of all requests of all runs, from the scheduled arrival; p99 marked"
    few = any(len(curve.values) < 100 for panel in panels for curve in panel.curves)
    said += f"{', hollow where it is the maximum for want of requests' if few else ''}.{cut}"
    yield "latency_cdf", plots.latency_cdfs(panels), said
    said = "The tail of the same: the share of requests that took as long or longer."
    yield "latency_tail", plots.latency_tails(panels), said


def _chosen(points: Sequence[Point], priority: int) -> list[Point]:
    """All points if they are few, else the extremes of every arm."""
    if len(points) <= MOST_LINES:
        return list(points)
    chosen: list[Point] = []
    for _, same_arm in groupby(points, lambda point: point.arm):
        ranked = sorted(same_arm, key=lambda point: _of(P99, point, priority).value)
        chosen += dict.fromkeys((ranked[0], ranked[-1]))
    return chosen[:MOST_LINES]


def _looks(points: Sequence[Point]) -> list[Look]:
    """An arm's own where it has one point, else shades of it; graded if there is one arm."""
    arms = [point.arm for point in points]
    if len(set(arms)) == 1 and len(arms) > 1:
        return plots.graded(len(points))
    return [
        plots.arm_look(arm)
        if arms.count(arm) == 1
        else plots.variant_look(arm, arms[:at].count(arm), arms.count(arm), at)
        for at, arm in enumerate(arms)
    ]


# --- one figure of every point -------------------------------------------------------------------


def _of(metric: Metric, point: Point, priority: int) -> Estimate:
    return point.estimate(metric.tag, priority) or NOTHING


def _spoken(metric: Metric) -> str:
    """``p99 response latency``: a bare percentile is one of response latencies."""
    name = figure_name(metric.tag)
    return f"{name} response latency" if name in FIGURES else name


def _metric(metric: Metric, points: Sequence[Point], priorities: Sequence[int]) -> Iterator[Sketch]:
    """Against the swept number with the most values or, without one, a row a point."""
    stem = stem_of(metric.tag)
    axis = f"{_spoken(metric)} ({metric.unit})"
    hollow = _hollow(metric, points, priorities)
    keys = _swept_keys(points)
    numeric = [key for key in keys if all(map(is_number, swept_values(points, key)))]
    if numeric:
        key = max(numeric, key=lambda key: len(swept_values(points, key)))
        lines = _lines(points, key, [other for other in keys if other != key])
        if len(lines) <= MOST_LINES:
            values = swept_values(points, key)
            panels = [
                Panel(f"priority {priority}", list(_series(metric, lines, values, priority)))
                for priority in priorities
            ]
            constant = any("" in line for line in lines.values())
            level = " Without markers: does not depend on it." if constant else ""
            caption = f"{_spoken(metric)} against {short_key(key)}. {_runs(points)}{level}{hollow}"
            yield stem, plots.against(_key_label(key), axis, values, panels), caption
            return
    if len(keys) == 2 and len(points) > MOST_ROWS:
        return
    rows = points[:MOST_ROWS]
    series = [
        Series(f"priority {p}", [_of(metric, point, p) for point in rows], plots.look(rank))
        for rank, p in enumerate(priorities)
    ]
    cut = f" The first {MOST_ROWS} of {len(points)} points." if len(points) > MOST_ROWS else ""
    figure = plots.dots(axis, [point.label for point in rows], series)
    yield stem, figure, f"{_spoken(metric)}. {_runs(points)}{cut}{hollow}"


#: By (arm, values of the other keys) and then by the value of the key that is the axis; "" for a
#: point that does not depend on it.
Lines = dict[tuple[str, str], dict[str, Point]]


def _lines(points: Sequence[Point], key: str, others: Sequence[str]) -> Lines:
    lines: Lines = {}
    for point in points:
        beside = {other: point.values.get(other) for other in others}
        line = lines.setdefault((point.arm, spoken("", beside).removeprefix(", ")), {})
        line[point.values.get(key) or ""] = point
    return lines


def _series(metric: Metric, lines: Lines, values: Sequence[str], priority: int) -> Iterator[Series]:
    several = len({arm for arm, _ in lines}) > 1
    looks = _looks([next(iter(line.values())) for line in lines.values()])
    for ((arm, others), line), look in zip(lines.items(), looks, strict=True):
        label = ", ".join(filter(None, [arm if several or not others else "", others]))
        at = [line.get("") or line.get(value) for value in values]
        estimates = [_of(metric, point, priority) if point else NOTHING for point in at]
        yield Series(label, estimates, look, constant="" in line)


# --- two swept keys ------------------------------------------------------------------------------


def _heat_maps(points: Sequence[Point], deciding: Figure) -> Iterator[Sketch]:
    """The figure that decides, one for each arm that has both keys."""
    keys = _swept_keys(points)
    if len(keys) != 2:
        return
    metric = deciding.metric
    about = deciding.scope.replace("_", " ")
    what = " of ".join(filter(None, [figure_name(metric.tag), about]))
    both = [point for point in points if all(point.values.get(key) for key in keys)]
    columns, rows = (swept_values(both, key) for key in keys)
    arms = list(dict.fromkeys(point.arm for point in both))
    for arm in arms:
        values = np.full((len(rows), len(columns)), np.nan)
        for point in both:
            known = [found for run in point.counted if (found := deciding.of(run.measured))]
            if point.arm == arm and known:
                column, row = (str(point.values[key]) for key in keys)
                place = rows.index(row), columns.index(column)
                values[place] = combined(known, metric.by_ratio).value
        if np.isnan(values).all():
            continue
        labels = (_key_label(keys[0]), _key_label(keys[1]), f"{what} ({metric.unit})")
        figure = plots.heat_map(labels, columns, rows, values)
        of_arm = f" of {arm}" if len(arms) > 1 else ""
        stem = f"heat_map_{arm}" if len(arms) > 1 else "heat_map"
        by = f"by {short_key(keys[0])} and {short_key(keys[1])}"
        yield stem, figure, f"{what}{of_arm} {by}; –: no run."


# --- shares --------------------------------------------------------------------------------------


def _shares(points: Sequence[Point]) -> Iterator[Sketch]:
    """For tasks that are entitled to something; arms that run tasks alone share nothing."""
    shared = []
    for point in filter(_shares_device, points):
        tasks = point.counted[0].tasks.values()
        if len(tasks) > 1 and all(task.utilization for task in tasks):
            shared.append(point)
    panels = [(point.label, rows) for point in _some(shared) if (rows := _share_rows(point))]
    if panels:
        what = (
            "Share of the device: completions in the window by solo time, of the sum of all tasks."
        )
        runs = _runs(shared).replace("Geometric mean", "Mean")
        yield "shares", plots.shares(panels), f"Share of the device: {what}. {runs}"


def _shares_device(point: Point) -> bool:
    """Arms that this version does not know are taken to do so, as most do."""
    arm = Arm.known(point.arm)
    return arm is None or arm.shares_device


def _some(points: Sequence[Point]) -> list[Point]:
    """As many points as there is room for: the first of each arm, the last, then others."""
    by_arm = [list(same) for _, same in groupby(points, lambda point: point.arm)]
    ends = [arm[at] for at in (0, -1) for arm in by_arm]
    wanted = list(dict.fromkeys([*ends, *points]))[: MOST_PANELS + 1]
    return [point for point in points if point in wanted]


def _share_rows(point: Point) -> list[Share]:
    runs = [list(run.tasks.values()) for run in point.counted]
    runs = [tasks for tasks in runs if len(tasks) == max(map(len, runs))]  # one may have had none
    done = [progress(tasks) for tasks in runs]
    entitled = entitlements(runs[0])
    if entitled is None or any(np.isnan(total := work.sum()) or not total for work in done):
        return []
    by_task = np.array([work / work.sum() for work in done]).T
    return [
        Share(task.name, combined([Estimate(float(v)) for v in got], False), float(due), look)
        for task, got, due, look in zip(
            runs[0], by_task, entitled, map(plots.look, range(len(runs[0]))), strict=True
        )
    ]


# --- timelines -----------------------------------------------------------------------------------


def _timelines(points: Sequence[Point]) -> Iterator[Sketch]:
    # Others show nobody beside the urgent tasks.
    beside = [point for point in points if _shares_device(point)] or list(points)
    panels: list[tuple[str, timeline.Timeline]] = []
    for point in _some(beside):
        first = timeline.read(point.counted[0])
        lanes = sum(len(other.tasks) for _, other in panels) + len(first.tasks)
        if first.until_ns and (not panels or lanes <= MOST_LANES):
            panels.append((point.label, first))
    if not panels:
        return
    readable = [timeline.readable_ns(panel) for _, panel in panels]
    until_ns = min(max(readable), 3 * min(readable))
    cut = " The first run of each." if any(len(point.counted) > 1 for point in points) else ""
    caption = f"Requests from the window's beginning, one colour a priority.{cut}"
    yield "timeline", timelines(panels, until_ns), caption
