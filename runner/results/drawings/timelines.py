"""What happened when, drawn: a lane a task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from runner.results.drawings.style import COLOURS, MS, legend_below, name_rows, panels, save
from runner.runs import files
from runner.runs.run import Run
from runner.runs.timeline import TaskTimeline, Timeline, read, readable_ns

LANE_INCHES = 0.24
#: Priorities that a legend names; further colours begin anew.
MOST_COLOURS = len(COLOURS)
BAR = (-0.24, 0.62)
WAIT = -0.36
MARK = 0.44
DASH: dict[str, Any] = {"markersize": 3, "markeredgewidth": 0.5}
SUSPENDED: dict[str, Any] = {
    "facecolor": (1, 1, 1, 0.55),
    "edgecolor": "#333333",
    "hatch": "//////",
}


def timelines(shown: Sequence[tuple[str, Timeline]], until_ns: int) -> Figure:
    """Requests as bars by task, the most urgent at the top, hatched while the task's queue was
    suspended, a line above while requests waited, dashes below where parts of them completed; a
    panel for each (title, timeline)."""
    lanes = [len(course.tasks) for _, course in shown]
    height = 0.75 + sum(LANE_INCHES * count + 0.22 for count in lanes)
    titles, ratios = [title for title, _ in shown], {"height_ratios": lanes}
    figure, axes = panels(titles, height, sharex=True, gridspec_kw=ratios)
    tasks = [task for _, course in shown for task in course.tasks]
    priorities = sorted({task.priority for task in tasks}, reverse=True)
    colours = {p: COLOURS[rank % len(COLOURS)] for rank, p in enumerate(priorities)}
    for panel, (_, course) in zip(axes, shown, strict=True):
        _timeline(panel, course, until_ns, colours)
    axes[-1].set_xlabel(f"time since the window began ({_unit(until_ns)[0]})")
    parts: list[Any] = [
        Patch(facecolor=colours[p], label=f"priority {p}") for p in priorities[:MOST_COLOURS]
    ]
    if any((task.requests[:, 1] - task.requests[:, 0]).max(initial=0) > MS for task in tasks):
        parts.append(Line2D([], [], color="#666666", linewidth=1, label="requests waiting"))
    if any(task.marks for task in tasks):
        parts.append(Line2D([], [], color="#666666", label="parts done", marker="|", linestyle=""))
    if any(task.suspensions for task in tasks):
        parts.append(Patch(**SUSPENDED, linewidth=0, label="queue suspended"))
    legend_below(figure, parts, columns=2 if len(parts) == 4 else 3)
    return figure


def _unit(until_ns: int) -> tuple[str, float]:
    return ("s", 1e9) if until_ns >= 1e9 else ("ms", 1e6)


def _timeline(axes: Axes, shown: Timeline, until_ns: int, colours: Mapping[int, str]) -> None:
    for row, task in enumerate(shown.tasks):
        _lane(axes, row, task, until_ns, colours[task.priority])
    name_rows(axes, [task.name for task in shown.tasks])
    axes.set_xlim(0, until_ns / _unit(until_ns)[1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")


def _lane(axes: Axes, row: int, task: TaskTimeline, until_ns: int, colour: str) -> None:
    scale = _unit(until_ns)[1]
    visible = task.requests[task.requests[:, 0] < until_ns] / scale
    scheduled, started, completed = visible.T
    bars = list(zip(started, completed - started, strict=True))
    # A white gap between requests that follow each other, unless it would be all that is seen.
    gap = 0.4 if len(bars) <= 80 else 0.0
    at = (row + BAR[0], BAR[1])
    axes.broken_barh(bars, at, color=colour, edgecolor="white", linewidth=gap)
    marked = [mark.at_ns / scale for mark in task.marks if mark.at_ns < until_ns]
    axes.plot(marked, np.full(len(marked), row + MARK), "|", color=colour, **DASH)
    axes.hlines(np.full(len(visible), row + WAIT), scheduled, started, color=colour, linewidth=1)
    # One path of all: what takes long is hatching one, not drawing it.
    low, high = at[0], sum(at)
    spans = [
        Path([(begin, low), (begin, high), (end, high), (end, low), (begin, low)], closed=True)
        for begin, end in ((s.from_ns / scale, s.until_ns / scale) for s in task.suspensions)
        if begin < until_ns / scale
    ]
    if spans:
        axes.add_patch(PathPatch(Path.make_compound_path(*spans), linewidth=0, **SUSPENDED))


def timeline(run: Run, title: str) -> None:
    """timeline.png in the run's folder; nothing for a run without requests."""
    course = read(run)
    if course.until_ns:
        save(timelines([(title, course)], readable_ns(course)), run.folder / files.TIMELINE)
