"""The drawings of a report, each a function of what it shows. Style and size: `style`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from runner.config.arms import Arm
from runner.metrics.intervals import Estimate, significant
from runner.results.drawings.style import (
    COLOURS,
    LABEL_CHARACTERS,
    SMALL,
    STYLES,
    distribution,
    legend_below,
    name_rows,
    panels,
    plain_log,
    short,
)

#: An arm has one look in all figures: colour, line and marker, so that no single one carries it.
ARM_LOOKS: dict[str, tuple[str, Any, str]] = {
    Arm.solo: ("#000000", ":", "^"),
    Arm.urgent_only: ("#7F7F7F", (0, (3, 1, 1, 1)), "v"),
    Arm.default_stream: ("#CC79A7", (0, (4, 1)), "P"),
    Arm.native: ("#D55E00", "--", "s"),
    Arm.stream_priority: ("#E69F00", "-.", "D"),
    Arm.mps_priority: ("#009E73", (0, (5, 1, 1, 1)), "p"),
    Arm.mps_share: ("#8C6D31", (0, (2, 1)), "h"),
    Arm.xsched: ("#0072B2", "-", "o"),
    Arm.xsched_null: ("#56B4E9", (0, (1, 1)), "X"),
}
MARKER_SIZE = 3.5
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANEL_INCHES = 1.45
ROW_INCHES = 0.19
LEGEND_CHARACTERS = 44
#: Names on an axis are at least this share of it apart.
CLOSEST = 0.07
#: How far beyond its value an interval without an upper bound is drawn.
OPEN_FACTOR = 1.25
#: How far the shades of an arm's colour go toward white, and toward black.
LIGHTEST, DARKEST = 0.6, 0.45
#: Over this ratio colours are logarithmic.
WIDE_RANGE = 10


@dataclass(frozen=True)
class Look:
    """How a line or its markers are drawn."""

    colour: str
    line: Any = "-"
    marker: str = "o"

    @property
    def style(self) -> dict[str, Any]:
        """As matplotlib takes it."""
        return {
            "color": self.colour,
            "linestyle": self.line,
            "marker": self.marker,
            "markersize": MARKER_SIZE,
        }


#: Of a quantile that is the maximum for want of requests.
HOLLOW: dict[str, Any] = {"markerfacecolor": "white"}
NOTHING = Estimate(math.nan)


@dataclass(frozen=True)
class Curve:
    """A sample to be drawn as a distribution."""

    label: str
    values: NDArray[np.float64]
    look: Look


@dataclass(frozen=True)
class Series:
    """Estimates at the positions of an axis; NOTHING where there is none. constant: it does not
    depend on the position."""

    label: str
    estimates: Sequence[Estimate]
    look: Look
    constant: bool = False


@dataclass(frozen=True)
class Panel:
    """Axes with what they show."""

    title: str
    series: Sequence[Series] = ()
    curves: Sequence[Curve] = ()

    @property
    def marks(self) -> list[Curve | Series]:
        return [*self.curves, *self.series]


def arm_look(arm: str) -> Look:
    """The arm's own look."""
    return Look(*ARM_LOOKS.get(arm, ("#000000", "-", "*")))


def variant_look(arm: str, variant: int, of: int, place: int) -> Look:
    """One of several variants of an arm: a shade of its colour, from light to dark, with line and
    marker by its place among all that is drawn."""
    share = 2 * variant / (of - 1) - 1
    mixed = abs(share) * (LIGHTEST if share < 0 else DARKEST)
    toward = 1.0 if share < 0 else 0.0
    red, green, blue = (
        part * (1 - mixed) + toward * mixed for part in to_rgb(arm_look(arm).colour)
    )
    return replace(look(place), colour=to_hex((red, green, blue)))


def look(index: int) -> Look:
    """The look of the number `index` of things without an order or a meaning of their own."""
    return Look(
        COLOURS[index % len(COLOURS)], STYLES[index % len(STYLES)], MARKERS[index % len(MARKERS)]
    )


def graded(count: int) -> list[Look]:
    """Looks of values with an order, from light to dark; their lines are whole, as other arms' are
    not."""
    shades = plt.get_cmap("cividis_r")(np.linspace(0.25, 1.0, count))
    looks = (replace(look(index), line="-") for index in range(count))
    return [replace(each, colour=to_hex(s)) for each, s in zip(looks, shades, strict=True)]


# --- distributions -------------------------------------------------------------------------------


def latency_cdfs(shown: Sequence[Panel]) -> Figure:
    """Distributions of the response latency, a panel a priority; a dot marks p99, a hollow one is
    the maximum for want of requests."""
    figure, axes = _distributions(shown, lambda shares: shares)
    for drawn in axes:
        drawn.set_ylim(0, 1.03)
        drawn.set_ylabel("share of requests")
    return figure


def latency_tails(shown: Sequence[Panel]) -> Figure:
    """The share of requests that took as long or longer, on a logarithmic axis: what a distribution
    hides in its last percent."""
    figure, axes = _distributions(shown, lambda shares: 1 - shares + shares[0])
    for panel, drawn in zip(shown, axes, strict=True):
        drawn.set_ylabel("share as slow")
        plain_log(drawn.yaxis, [1 / max(len(curve.values) for curve in panel.curves), 1.0])
    return figure


def _distributions(
    shown: Sequence[Panel], height: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[Figure, list[Axes]]:
    figure, axes = _stacked(shown)
    for panel, drawn in zip(shown, axes, strict=True):
        for curve in panel.curves:
            _distribution(drawn, curve, height)
    curves = [curve for panel in shown for curve in panel.curves]
    plain_log(axes[-1].xaxis, [end for c in curves for end in (c.values.min(), c.values.max())])
    axes[-1].set_xlabel("response latency (ms)")
    _legend(figure, [mark for panel in shown for mark in panel.marks])
    return figure, axes


def _stacked(shown: Sequence[Panel]) -> tuple[Figure, list[Axes]]:
    """Axes below each other, with room for a legend of all that is in them."""
    labels = [mark.label for panel in shown for mark in panel.marks]
    height = 0.55 + PANEL_INCHES * len(shown) + _legend_inches(list(dict.fromkeys(labels)))
    return panels([panel.title for panel in shown], height, sharex=True)


def _distribution(
    axes: Axes, curve: Curve, height: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    values, shares = distribution(curve.values)
    heights = height(shares)
    axes.step(values, heights, where="post", linewidth=1.1, **curve.look.style | {"marker": ""})
    p99 = int(np.searchsorted(shares, 0.99))
    hollow = HOLLOW if p99 == len(shares) - 1 else {}
    axes.plot(values[p99], heights[p99], **curve.look.style | hollow)


def _legend(figure: Figure, drawn: Sequence[Curve | Series]) -> None:
    """One entry a label, however many panels it is in."""
    handles: dict[str, Line2D] = {}
    for shown in drawn:
        constant = isinstance(shown, Series) and shown.constant
        style = shown.look.style | ({"marker": ""} if constant else {})
        handles[shown.label] = Line2D([], [], label=short(shown.label, LEGEND_CHARACTERS), **style)
    if len(handles) > 1:
        length = 2.8 if any(shown.look.line for shown in drawn) else 0.8
        columns = _columns(list(handles))
        legend_below(figure, list(handles.values()), columns, handlelength=length)


def _columns(labels: Sequence[str]) -> int:
    """As few rows as fit, all of them about as long."""
    widest = max(map(len, labels), default=0)
    most = 3 if widest < 12 else 2 if widest < LABEL_CHARACTERS else 1
    return math.ceil(len(labels) / max(1, math.ceil(len(labels) / most)))


def _legend_inches(labels: Sequence[str]) -> float:
    return 0.16 * math.ceil(len(labels) / _columns(labels)) if len(labels) > 1 else 0.0


# --- estimates with intervals --------------------------------------------------------------------


def against(x_label: str, y_label: str, values: Sequence[str], shown: Sequence[Panel]) -> Figure:
    """Estimates against a swept number, a panel a priority, a line a series. The axis is
    logarithmic if the values are more evenly spaced on one."""
    figure, axes = _stacked(shown)
    numbers = np.array([float(value) for value in values])
    logarithmic = _is_geometric(numbers)
    at = np.log(numbers) if logarithmic else numbers
    step = float(np.diff(at).min(initial=np.inf)) if len(at) > 1 else 1.0
    for panel, drawn in zip(shown, axes, strict=True):
        moving = [series for series in panel.series if not series.constant]
        for series in panel.series:
            offset = 0.0 if series.constant else step * _offset(moving.index(series), len(moving))
            _series(drawn, series, np.exp(at + offset) if logarithmic else at + offset)
        plain_log(drawn.yaxis, _extent(panel.series))
    if logarithmic:
        axes[-1].set_xscale("log")
    margin = 0.06 * (at[-1] - at[0]) or 0.5
    ends = np.array([at[0] - margin, at[-1] + margin])
    axes[-1].set_xlim(*(np.exp(ends) if logarithmic else ends))
    named = _apart(at)
    axes[-1].set_xticks(numbers[named], _fitting([values[each] for each in named]))
    axes[-1].xaxis.set_minor_locator(NullLocator())
    axes[-1].set_xlabel(x_label)
    figure.supylabel(y_label, fontsize=8)
    _legend(figure, [mark for panel in shown for mark in panel.marks])
    return figure


def _is_geometric(numbers: NDArray[np.float64]) -> bool:
    if len(numbers) < 3 or numbers.min() <= 0:
        return False
    steps, ratios = np.diff(numbers), np.diff(np.log(numbers))
    return bool(ratios.max() / ratios.min() < steps.max() / steps.min())


def _apart(at: NDArray[np.float64]) -> list[int]:
    """Those of the positions, in their order, whose names do not run into each other."""
    named = [0]
    for each in range(1, len(at)):
        if at[each] - at[named[-1]] >= CLOSEST * (at[-1] - at[0]):
            named.append(each)
    return named


def _offset(index: int, count: int, step: float = 0.08) -> float:
    """Beside each other, so that intervals at one position can be told apart."""
    return (index - (count - 1) / 2) * min(step, 0.5 / max(count, 1))


def _fitting(values: Sequence[str]) -> list[str]:
    most = max(4, 44 // max(len(values), 1))
    return [short(value, most) for value in values]


def _extent(series: Sequence[Series]) -> list[float]:
    """All numbers that an axis must show."""
    estimates = [estimate for line in series for estimate in line.estimates]
    return [number for shown in estimates for number in (shown.value, *_drawn(shown))]


def _drawn(estimate: Estimate) -> tuple[float, ...]:
    """Both ends of an interval as they are drawn; an infinite one a little beyond the value."""
    if estimate.interval is None:
        return ()
    low, high = estimate.interval.low, estimate.interval.high
    return (
        estimate.value / OPEN_FACTOR if math.isinf(low) else low,
        estimate.value * OPEN_FACTOR if math.isinf(high) else high,
    )


def _series(axes: Axes, series: Series, at: NDArray[np.float64]) -> None:
    """A line through the estimates with their intervals; an arrow where one has no upper bound."""
    if series.constant:
        _level(axes, series)
        return
    values = [estimate.value for estimate in series.estimates]
    axes.plot(at, values, linewidth=1.0, **series.look.style | {"marker": ""})
    for x, estimate in zip(at, series.estimates, strict=True):
        _whisker(axes, x, estimate, series.look.colour, upright=True)
        _marker(axes, x, estimate, series.look, upright=True)


def _marker(axes: Axes, at: float, estimate: Estimate, look: Look, upright: bool) -> None:
    style = look.style | {"linestyle": ""} | (HOLLOW if estimate.is_maximum else {})
    axes.plot(*_turned((at,), (estimate.value,), upright), **style)


def _level(axes: Axes, series: Series) -> None:
    """A line across, with its interval as a band."""
    estimate, colour = series.estimates[0], series.look.colour
    axes.axhline(estimate.value, color=colour, linestyle=series.look.line, linewidth=1.0)
    if ends := _drawn(estimate):
        axes.axhspan(*ends, color=colour, alpha=0.12, linewidth=0)


def _whisker(axes: Axes, at: float, estimate: Estimate, colour: str, upright: bool) -> None:
    if estimate.interval is None:
        return
    ends = _drawn(estimate)
    axes.plot(*_turned((at, at), ends, upright), color=colour, linewidth=0.8)
    marks = ("v", "^") if upright else ("<", ">")
    limits = (estimate.interval.low, estimate.interval.high)
    for end, limit, mark in zip(ends, limits, marks, strict=True):
        if math.isinf(limit):
            axes.plot(*_turned((at,), (end,), upright), mark, color=colour, markersize=2.5)


def _turned(across: Sequence[float], along: Sequence[float], upright: bool) -> Any:
    return (across, along) if upright else (along, across)


def dots(x_label: str, rows: Sequence[str], series: Sequence[Series]) -> Figure:
    """Estimates of things without an order, a row each: arms, say. A marker a series."""
    legend = _legend_inches([drawn.label for drawn in series])
    height = 0.75 + len(rows) * max(ROW_INCHES, 0.11 * len(series)) + legend
    figure, (axes,) = panels([""], height)
    for index, drawn in enumerate(series):
        offset = _offset(index, len(series), 0.22)
        for row, estimate in enumerate(drawn.estimates):
            _whisker(axes, row + offset, estimate, drawn.look.colour, upright=False)
            _marker(axes, row + offset, estimate, drawn.look, upright=False)
    name_rows(axes, rows, LABEL_CHARACTERS)
    plain_log(axes.xaxis, _extent(series))
    axes.set_xlabel(x_label)
    _legend(figure, [replace(drawn, look=replace(drawn.look, line="")) for drawn in series])
    return figure


# --- two swept keys ------------------------------------------------------------------------------


def heat_map(
    labels: tuple[str, str, str],
    columns: Sequence[str],
    rows: Sequence[str],
    values: NDArray[np.float64],
) -> Figure:
    """values[row, column] as colours with the numbers in them; labels: of columns, rows, values."""
    figure, (axes,) = panels([labels[2]], max(1.6, 0.8 + 0.26 * len(rows)))
    axes.grid(visible=False)
    low, high = np.nanmin(values), np.nanmax(values)
    norm = (LogNorm if 0 < low * WIDE_RANGE < high else Normalize)(low, high)
    # Not imshow, which would be pixels in a PDF.
    axes.pcolormesh(values, cmap="cividis", norm=norm, edgecolor="white", linewidth=0.8)
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column + 0.5,
            row + 0.5,
            "–" if np.isnan(value) else significant(value),
            ha="center",
            va="center",
            fontsize=SMALL,
            color="white" if norm(value) < 0.5 else "black",
        )
    axes.set_xticks(np.arange(len(columns)) + 0.5, _fitting(columns))
    axes.set_yticks(np.arange(len(rows)) + 0.5, [short(row, 10) for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    return figure


# --- shares --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """What a task got of the device and what it was entitled to, both from 0 to 1."""

    task: str
    got: Estimate
    entitled: float | None
    look: Look


def shares(shown: Sequence[tuple[str, Sequence[Share]]]) -> Figure:
    """Shares of the device by task, a panel for each (title, tasks); a line marks entitlements."""
    counts = [len(rows) for _, rows in shown]
    height = 0.7 + sum(0.22 + ROW_INCHES * count for count in counts)
    titles, ratios = [title for title, _ in shown], {"height_ratios": counts}
    figure, axes = panels(titles, height, sharex=True, gridspec_kw=ratios)
    for (_, rows), drawn in zip(shown, axes, strict=True):
        for row, share in enumerate(rows):
            drawn.barh(row, 100 * share.got.value, height=0.62, color=share.look.colour)
            if share.got.interval is not None:
                ends = 100 * share.got.interval.low, 100 * share.got.interval.high
                drawn.plot(ends, (row, row), color="black", linewidth=0.8)
            if share.entitled is not None:
                at = 100 * share.entitled
                drawn.plot((at, at), (row - 0.45, row + 0.45), color="black", linewidth=1.6)
        name_rows(drawn, [share.task for share in rows])
        drawn.grid(visible=False, axis="y")
    axes[-1].set_xlim(0, 100)
    axes[-1].set_xlabel("share of the device (%)")
    if any(share.entitled is not None for _, rows in shown for share in rows):
        mark: dict[str, Any] = {"marker": "|", "markersize": 9, "markeredgewidth": 1.6}
        legend_below(
            figure, [Line2D([], [], color="black", linestyle="", label="entitlement", **mark)]
        )
    return figure
