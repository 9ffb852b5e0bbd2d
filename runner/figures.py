"""The figures of a run and of a sweep, and the style of all figures: one column of a paper wide,
vector, readable in print. Colours are Okabe and Ito's (2008), safe for colour-blind readers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from runner.statistics import TaskRequests

if TYPE_CHECKING:
    from runner.timeline import TaskTimeline, Timeline

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")
COLUMN = 3.3
HEIGHT = 2.3
DPI = 300
SMALL = 7
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "hatch.linewidth": 0.5,
    # TrueType: reviewers' systems refuse matplotlib's default Type 3.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
#: Steps of a drawn distribution; the thinning moves it by less than a line's width.
CDF_STEPS = 400
LOG_MARGIN = 1.12
MS = 1e6


def panels(count: int, height: float = HEIGHT, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure one column wide with `count` axes below each other, `height` inches in all."""
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(
        count, figsize=(COLUMN, height), layout="constrained", squeeze=False, **options
    )
    for each in axes[:, 0]:
        each.grid(alpha=0.25, linewidth=0.5)
        each.set_axisbelow(True)
    return figure, list(axes[:, 0])


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure, in the format of each path's suffix; without a date, so that the same data
    give the same bytes."""
    for path in paths:
        dated = {"CreationDate": None} if path.suffix == ".pdf" else {}
        figure.savefig(path, dpi=DPI, metadata=dated)
        figure.set_layout_engine("none")  # it has its layout; finding it is half of the work
    plt.close(figure)


def plain_log(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic axis over `values` with a few ticks at round numbers, written as such."""
    finite = [value for value in values if np.isfinite(value) and value > 0]
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    if finite:
        low, high = min(finite) / LOG_MARGIN, max(finite) * LOG_MARGIN
        axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
        axis.set_major_locator(FixedLocator(_round_numbers(low, high)))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _round_numbers(low: float, high: float) -> list[float]:
    """From three to six numbers between the two, as round as possible."""
    found: list[float] = []
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for leading in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [n * 10.0**decade for decade in decades for n in leading]
        found = [number for number in found if low <= number <= high]
        if len(found) >= 3:
            return found[:: int(np.ceil(len(found) / 6))]
    return [
        t for t in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= t <= high
    ] or found


def legend_below(
    figure: Figure, handles: Sequence[Any] | None = None, columns: int = 2, **options: Any
) -> None:
    """One legend under the figure, where it covers no data."""
    given = {} if handles is None else {"handles": list(handles)}
    figure.legend(loc="outside lower center", ncols=columns, **given, **options)


def _axes(title: str, x: str, y: str) -> Axes:
    _, (axes,) = panels(1, HEIGHT)
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return axes


def _figure(axes: Axes) -> Figure:
    assert isinstance(axes.figure, Figure)
    return axes.figure


def _save(axes: Axes, path: Path) -> None:
    save(_figure(axes), path)


def distribution(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The empirical distribution as (value, share), to be drawn as steps: the last percent whole,
    the rest thinned."""
    ordered = np.sort(values)
    count = len(ordered)
    ranks = np.arange(count)
    if count > CDF_STEPS:
        body = np.linspace(0, count - 1, CDF_STEPS).astype(int)
        tail = ranks[int(0.99 * count) :] if count < 100 * CDF_STEPS else body[:0]
        ranks = np.union1d(body, tail)
    return ordered[ranks], (ranks + 1) / max(count, 1)


def latency_cdf(path: Path, title: str, requests: Sequence[TaskRequests]) -> None:
    """Response latency of every task as an empirical distribution; one colour a priority."""
    axes = _axes(title, "response latency (ms)", "share of requests")
    shown = [task for task in requests if len(task.response_ms)]
    priorities = sorted({task.priority for task in shown}, reverse=True)
    for task in shown:
        rank = priorities.index(task.priority)
        peers = [other.name for other in shown if other.priority == task.priority]
        axes.step(
            *distribution(task.response_ms),
            where="post",
            color=COLOURS[rank % len(COLOURS)],
            linestyle=STYLES[peers.index(task.name) % len(STYLES)],
            label=f"{task.name} (priority {task.priority})",
        )
    ends = [end for task in shown for end in (task.response_ms.min(), task.response_ms.max())]
    plain_log(axes.xaxis, ends)
    axes.set_ylim(0, 1.02)
    if shown:
        legend_below(_figure(axes))
    _save(axes, path)


def sweep_p99(
    path: Path, title: str, swept: str, rows: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    """p99 of every priority against the swept value; rows: (value, the run's summary)."""
    axes = _axes(title, swept, "p99 response latency (ms)")
    priorities = sorted({int(p) for _, run in rows for p in run["priorities"]}, reverse=True)
    positions = np.arange(len(rows))
    drawn: list[float] = []
    for rank, priority in enumerate(priorities):
        p99 = [
            run["priorities"].get(str(priority), {}).get("latency_ms", {}).get("p99", np.nan)
            for _, run in rows
        ]
        drawn += p99
        axes.plot(
            positions,
            p99,
            marker="o",
            color=COLOURS[rank % len(COLOURS)],
            label=f"priority {priority}",
        )
    axes.set_xticks(positions, [value for value, _ in rows])
    axes.set_xlim(-0.4, len(rows) - 0.6)
    plain_log(axes.yaxis, drawn)
    legend_below(_figure(axes), columns=3)
    _save(axes, path)


# --- timelines -----------------------------------------------------------------------------------

LANE_INCHES = 0.24
BAR = (-0.24, 0.62)
WAIT = -0.36
SUSPENDED: dict[str, Any] = {
    "facecolor": (1, 1, 1, 0.55),
    "edgecolor": "#333333",
    "hatch": "//////",
}
NAME_CHARACTERS = 14


def timelines(shown: Sequence[tuple[str, "Timeline"]], until_ns: int) -> Figure:
    """Requests as bars by task, the most urgent at the top, hatched while the task's queue was
    suspended, a line above while requests waited; a panel for each (title, timeline)."""
    lanes = [len(each.tasks) for _, each in shown]
    height = 0.75 + sum(LANE_INCHES * count + 0.22 for count in lanes)
    figure, axes = panels(len(shown), height, sharex=True, gridspec_kw={"height_ratios": lanes})
    for panel, (title, each) in zip(axes, shown, strict=True):
        panel.set_title(title, loc="left")
        _timeline(panel, each, until_ns)
    axes[-1].set_xlabel(f"time since the common start ({_unit(until_ns)[0]})")
    parts: list[Any] = [Patch(facecolor="#666666", label="request")]
    tasks = [task for _, each in shown for task in each.tasks]
    if any((task.requests[:, 1] - task.requests[:, 0]).max(initial=0) > MS for task in tasks):
        parts.append(Line2D([], [], color="#666666", linewidth=1, label="requests waiting"))
    if any(task.suspensions for task in tasks):
        parts.append(Patch(**SUSPENDED, linewidth=0, label="queue suspended"))
    legend_below(figure, parts, columns=3)
    return figure


def _unit(until_ns: int) -> tuple[str, float]:
    return ("s", 1e9) if until_ns >= 1e9 else ("ms", 1e6)


def _timeline(axes: Axes, shown: "Timeline", until_ns: int) -> None:
    priorities = sorted({task.priority for task in shown.tasks}, reverse=True)
    for row, task in enumerate(shown.tasks):
        _lane(axes, row, task, until_ns, COLOURS[priorities.index(task.priority) % len(COLOURS)])
    axes.set_yticks(range(len(shown.tasks)), [_short(task.name) for task in shown.tasks])
    axes.set_ylim(len(shown.tasks) - 0.5, -0.5)
    axes.set_xlim(0, until_ns / _unit(until_ns)[1])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def _lane(axes: Axes, row: int, task: "TaskTimeline", until_ns: int, colour: str) -> None:
    scale = _unit(until_ns)[1]
    visible = task.requests[task.requests[:, 0] < until_ns] / scale
    scheduled, started, completed = visible.T
    bars = list(zip(started, completed - started, strict=True))
    # A white gap between requests that follow each other, unless it would be all that is seen.
    gap = 0.4 if len(bars) <= 80 else 0.0
    at = (row + BAR[0], BAR[1])
    axes.broken_barh(bars, at, color=colour, edgecolor="white", linewidth=gap)
    axes.hlines(np.full(len(visible), row + WAIT), scheduled, started, color=colour, linewidth=1)
    spans = [
        (each.from_ns / scale, (each.until_ns - each.from_ns) / scale)
        for each in task.suspensions
        if each.from_ns < until_ns
    ]
    axes.broken_barh(spans, at, linewidth=0, **SUSPENDED)
