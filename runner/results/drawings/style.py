"""The style of all drawings: one column of a paper wide, vector, readable in print. Colours are
Okabe and Ito's (2008), safe for colour-blind readers."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from runner.runs import durable

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
LABEL_CHARACTERS, TASK_CHARACTERS = 24, 14
MS = 1e6


def panels(
    titles: Sequence[str], height: float = HEIGHT, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure one column wide with axes of these titles below each other, `height` inches in
    all."""
    plt.rcParams.update(STYLE)
    options |= {"figsize": (COLUMN, height), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(len(titles), **options)
    for panel, title in zip(axes[:, 0], titles, strict=True):
        panel.set_title(title, loc="left")
        panel.grid(alpha=0.25, linewidth=0.5)
        panel.set_axisbelow(True)
    return figure, list(axes[:, 0])


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure, in the format of each path's suffix; without a date, so that the same data
    give the same bytes."""
    for path in paths:
        dated = {"CreationDate": None} if path.suffix == ".pdf" else {}
        drawn = BytesIO()
        figure.savefig(drawn, format=path.suffix[1:], dpi=DPI, metadata=dated)
        durable.write(path, drawn.getvalue())
        figure.set_layout_engine("none")  # it has its layout; finding it is half of the work
    plt.close(figure)


def plain_log(axis: Any, values: Sequence[float]) -> None:
    """A logarithmic axis over `values` with a few ticks at round numbers, written as such; a linear
    one where a value is zero, which no logarithm shows."""
    finite = [value for value in values if np.isfinite(value)]
    if min(finite, default=1.0) <= 0:
        return
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
    ticks: list[float] = []
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for leading in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        numbers = [n * 10.0**decade for decade in decades for n in leading]
        ticks = [number for number in numbers if low <= number <= high]
        if len(ticks) >= 3:
            return ticks[:: int(np.ceil(len(ticks) / 6))]
    even = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [tick for tick in even if low <= tick <= high] or ticks


def legend_below(
    figure: Figure, handles: Sequence[Any] | None = None, columns: int = 2, **options: Any
) -> None:
    """One legend under the figure, where it covers no data."""
    given = {} if handles is None else {"handles": list(handles)}
    figure.legend(loc="outside lower center", ncols=columns, **given, **options)


def name_rows(axes: Axes, names: Sequence[str], most: int = TASK_CHARACTERS) -> None:
    """A y axis of things without an order, the first at the top."""
    axes.set_yticks(range(len(names)), [short(name, most) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def short(label: str, most: int = LABEL_CHARACTERS) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


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
