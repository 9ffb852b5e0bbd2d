"""Which figures a report has: the runs decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from runner.config.arms import Arm
from runner.metrics import METRICS, Metric, Task
from runner.metrics.intervals import Estimate
from runner.metrics.latency import FIGURES
from runner.metrics.sharing import entitlements, progress
from runner.results.drawings import plots
from runner.results.drawings.plots import NOTHING, Curve, Look, Panel, Series, Share
from runner.results.drawings.style import save
from runner.results.drawings.timelines import timelines
from runner.results.points import declared_primary
from runner.results.report.points import (
    Point,
    axis_label,
    estimate_over,
    is_number,
    short_key,
    swept_keys,
    swept_values,
)
from runner.results.report.verdict import figure_name
from runner.results.tables import INTERVAL
from runner.results.tables import point as point_name
from runner.runs import timeline

#: More lines in one figure cannot be told apart; more rows do not fit on a page.
MOST_LINES, MOST_ROWS, MOST_PANELS, MOST_LANES = 7, 30, 3, 24
P99 = METRICS["p99_ms"]


@dataclass(frozen=True)
class Drawn:
    """A figure in its files, `stem` with .pdf and .png, and what a reader must know of it."""

    stem: str
    caption: str
    image: Path


def draw(points: Sequence[Point], folder: Path, suffix: str = "") -> Iterator[Drawn]:
    """All figures of one task set's points, written to `folder`."""
    shown = [point for point in points if point.priorities]
    for stem, figure, caption in _figures(shown) if shown else ():
        named = f"{stem}{suffix}"
        image = folder / f"{named}.png"
        save(figure, image, folder / f"{named}.pdf")
        yield Drawn(named, caption + _not_valid(shown), image)


def _not_valid(points: Sequence[Point]) -> str:
    wrong = [point.label for point in points if not all(run.summary.valid for run in point.counted)]
    return f" Not valid, shown all the same: {'; '.join(wrong)}." if wrong else ""


def _figures(points: Sequence[Point]) -> Iterator[tuple[str, Figure, str]]:
    priorities = _few(sorted({p for point in points for p in point.priorities}, reverse=True))
    yield _cdf(points, priorities)
    yield from _metric(P99, points, priorities)
    declared = declared_primary([run for point in points for run in point.runs])
    metric = METRICS[declared.partition("/")[0]] if declared else P99
    if metric is not P99 and not metric.of_all:
        yield from _metric(metric, points, priorities)
    yield from _heat_maps(points, priorities[0])
    yield from _shares(points)
    yield from _timelines(points)


def _few(priorities: list[int]) -> list[int]:
    """As many priorities as a figure has panels: the most urgent ones and the last."""
    if len(priorities) <= MOST_PANELS:
        return priorities
    return [*priorities[: MOST_PANELS - 1], priorities[-1]]


def _runs(points: Sequence[Point]) -> str:
    """How many runs are behind a figure, and what its intervals are."""
    counts = sorted({len(point.counted) for point in points})
    if counts == [1]:
        return f"One run each; {INTERVAL}s within the run, an arrow where it has no end."
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Geometric mean of {number} runs each, with {INTERVAL}s over the runs."


# --- distributions -------------------------------------------------------------------------------


def _cdf(points: Sequence[Point], priorities: Sequence[int]) -> tuple[str, Figure, str]:
    chosen = _chosen(points, priorities[0])
    looks = _looks(chosen)
    shown = [
        Panel(
            f"priority {priority}",
            curves=[
                Curve(point.label, np.concatenate(point.response_ms(priority)), look)
                for point, look in zip(chosen, looks, strict=True)
                if priority in point.priorities
            ],
        )
        for priority in priorities
    ]
    caption = (
        "Response latency of all requests of all runs, from the scheduled arrival; p99 marked."
    )
    if len(chosen) < len(points):
        caption += (
            f" Of {len(points)} points, those with the lowest and the highest p99 of priority "
            f"{priorities[0]} in each arm."
        )
    return "latency_cdf", plots.latency_cdfs(shown), caption


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
    """Colours by arm, lines and markers by the number of its point; graded if there is one arm."""
    arms = [point.arm for point in points]
    if len(set(arms)) == 1 and len(arms) > 1:
        return plots.graded(len(points))
    return [plots.arm_look(arm, arms[:at].count(arm)) for at, arm in enumerate(arms)]


# --- one figure of every point -------------------------------------------------------------------


def _of(metric: Metric, point: Point, priority: int) -> Estimate:
    return point.estimate(metric.tag, priority) or NOTHING


def _stem(metric: Metric) -> str:
    return figure_name(metric.tag).replace(" ", "_")


def _spoken(metric: Metric) -> str:
    """``p99 response latency``: a bare percentile is one of response latencies."""
    name = figure_name(metric.tag)
    return f"{name} response latency" if name in FIGURES else name


def _axis(metric: Metric) -> str:
    return f"{_spoken(metric)} ({metric.unit})"


def _metric(
    metric: Metric, points: Sequence[Point], priorities: Sequence[int]
) -> Iterator[tuple[str, Figure, str]]:
    """Against the swept number with the most values or, without one, a row a point."""
    keys = swept_keys(points)
    numeric = [key for key in keys if all(map(is_number, swept_values(points, key)))]
    if numeric:
        key = max(numeric, key=lambda each: len(swept_values(points, each)))
        lines = _lines(points, key, [each for each in keys if each != key])
        if len(lines) <= MOST_LINES:
            yield _against(metric, points, priorities, key, lines)
            return
    if len(keys) == 2 and len(points) > MOST_ROWS:
        return
    figure = plots.dots(
        _axis(metric),
        [point.label for point in points[:MOST_ROWS]],
        [
            Series(
                f"priority {priority}",
                [_of(metric, point, priority) for point in points[:MOST_ROWS]],
                plots.look(rank),
            )
            for rank, priority in enumerate(priorities)
        ],
    )
    cut = f" The first {MOST_ROWS} of {len(points)} points." if len(points) > MOST_ROWS else ""
    yield _stem(metric), figure, f"{_spoken(metric)}. {_runs(points)}{cut}"


Lines = dict[tuple[str, str], dict[str, Point]]


def _lines(points: Sequence[Point], key: str, others: Sequence[str]) -> Lines:
    """The points by (arm, values of the other keys) and then by the value of `key`; "" for one that
    does not depend on it."""
    lines: Lines = {}
    for point in points:
        beside = {each: point.values.get(each) for each in others}
        line = lines.setdefault((point.arm, point_name("", beside).removeprefix(", ")), {})
        line[point.values.get(key) or ""] = point
    return lines


def _against(
    metric: Metric, points: Sequence[Point], priorities: Sequence[int], key: str, lines: Lines
) -> tuple[str, Figure, str]:
    values = swept_values(points, key)
    several = len({arm for arm, _ in lines}) > 1
    looks = _looks([next(iter(line.values())) for line in lines.values()])

    def series(arm: str, others: str, line: dict[str, Point], priority: int, look: Look) -> Series:
        label = ", ".join(filter(None, [arm if several or not others else "", others]))
        at = [line.get("") or line.get(value) for value in values]
        estimates = [_of(metric, point, priority) if point else NOTHING for point in at]
        return Series(label, estimates, look, constant="" in line)

    shown = [
        Panel(
            f"priority {priority}",
            [
                series(arm, others, line, priority, look)
                for ((arm, others), line), look in zip(lines.items(), looks, strict=True)
            ],
        )
        for priority in priorities
    ]
    figure = plots.against(axis_label(key), _axis(metric), values, shown)
    level = (
        " Without markers: does not depend on it." if any("" in x for x in lines.values()) else ""
    )
    caption = f"{_spoken(metric)} against {short_key(key)}. {_runs(points)}{level}"
    return _stem(metric), figure, caption


# --- two swept keys ------------------------------------------------------------------------------


def _heat_maps(points: Sequence[Point], urgent: int) -> Iterator[tuple[str, Figure, str]]:
    """One for each arm that has both keys."""
    keys = swept_keys(points)
    if len(keys) != 2:
        return
    both = [point for point in points if all(point.values.get(key) for key in keys)]
    columns, rows = (swept_values(both, key) for key in keys)
    arms = list(dict.fromkeys(point.arm for point in both))
    for arm in arms:
        values = np.full((len(rows), len(columns)), np.nan)
        for point in both:
            if point.arm == arm:
                at = (str(point.values[key]) for key in keys)
                column, row = columns.index(next(at)), rows.index(next(at))
                values[row, column] = _of(P99, point, urgent).value
        if np.isnan(values).all():
            continue
        labels = (axis_label(keys[0]), axis_label(keys[1]), f"p99 of priority {urgent} (ms)")
        figure = plots.heat_map(labels, columns, rows, values)
        of_arm = f" of {arm}" if len(arms) > 1 else ""
        stem = f"heat_map_{arm}" if len(arms) > 1 else "heat_map"
        caption = f"p99 of priority {urgent}{of_arm} by {short_key(keys[0])} and"
        yield stem, figure, f"{caption} {short_key(keys[1])}; –: no run."


# --- shares --------------------------------------------------------------------------------------


def _shares(points: Sequence[Point]) -> Iterator[tuple[str, Figure, str]]:
    """For tasks that are entitled to something; arms that run tasks alone share nothing."""
    shared = [p for p in points if _shares_device(p) and _entitled(p.tasks[0])]
    shown = [(point.label, rows) for point in _spread(shared) if (rows := _share_rows(point))]
    if shown:
        yield (
            "shares",
            plots.shares(shown),
            "Share of the device: completions in the window by solo time, of the sum of all tasks. "
            + _runs(shared).replace("Geometric mean", "Mean"),
        )


def _shares_device(point: Point) -> bool:
    """Arms that this version does not know are taken to do so, as most do."""
    arm = Arm.known(point.arm)
    return arm is None or arm.shares_device


def _entitled(tasks: dict[str, Task]) -> bool:
    return len(tasks) > 1 and all(task.utilization for task in tasks.values())


def _spread(points: Sequence[Point]) -> list[Point]:
    """As many points as there is room for: the first of each arm, the last, then others."""
    by_arm = [list(same) for _, same in groupby(points, lambda point: point.arm)]
    ends = [arm[at] for at in (0, -1) for arm in by_arm]
    wanted = list(dict.fromkeys([*ends, *points]))[: MOST_PANELS + 1]
    return [point for point in points if point in wanted]


def _share_rows(point: Point) -> list[Share]:
    runs = [list(tasks.values()) for tasks in point.tasks]
    done = [progress(tasks) for tasks in runs]
    entitled = entitlements(runs[0])
    if entitled is None or any(np.isnan(each.sum()) or not each.sum() for each in done):
        return []
    got = np.array([each / each.sum() for each in done])
    estimates = [estimate_over([Estimate(float(v)) for v in column], False) for column in got.T]
    return [
        Share(task.name, estimate or NOTHING, float(due), plots.look(at))
        for at, (task, estimate, due) in enumerate(zip(runs[0], estimates, entitled, strict=True))
    ]


# --- timelines -----------------------------------------------------------------------------------


def _timelines(points: Sequence[Point]) -> Iterator[tuple[str, Figure, str]]:
    # Others show nobody beside the urgent tasks.
    beside = [point for point in points if _shares_device(point)] or list(points)
    shown: list[tuple[str, timeline.Timeline]] = []
    for point in _spread(beside):
        read = timeline.read(point.counted[0])
        lanes = sum(len(each.tasks) for _, each in shown) + len(read.tasks)
        if read.until_ns and (not shown or lanes <= MOST_LANES):
            shown.append((point.label, read))
    if not shown:
        return
    readable = [timeline.readable_ns(each) for _, each in shown]
    until_ns = min(max(readable), 3 * min(readable))
    cut = " The first run of each." if any(len(point.counted) > 1 for point in points) else ""
    yield (
        "timeline",
        timelines(shown, until_ns),
        f"Requests from the common start, one colour a priority.{cut}",
    )
