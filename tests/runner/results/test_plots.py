import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from runner.metrics.intervals import Estimate, Interval
from runner.results.drawings import plots
from runner.results.drawings import style as figures
from runner.results.drawings.plots import NOTHING, Curve, Look, Panel, Series, Share, arm_look

ARMS = list(plots.ARM_LOOKS)


def about(value: float, low: float = 0.9, high: float = 1.2) -> Estimate:
    return Estimate(value, Interval(value * low, value * high))


def check(figure: Figure) -> None:
    """One column wide, no text below 7 pt, nothing cut off by the figure's edge."""
    width, height = figure.get_size_inches()
    assert width == figures.COLUMN == 3.3
    assert 1 < height < 8
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    assert min(float(text.get_fontsize()) for text in texts) >= 7
    drawn = figure.get_tightbbox()
    assert drawn.x0 > -0.01
    assert drawn.y0 > -0.01
    assert drawn.x1 < width + 0.01
    assert drawn.y1 < height + 0.01
    plt.close(figure)


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def curves(labels: Sequence[str], shift: float = 1.0) -> list[Curve]:
    random = np.random.default_rng(0)
    return [
        Curve(label, shift * (at + 1) * random.lognormal(1, 0.5, 3000), arm_look(label))
        for at, label in enumerate(labels)
    ]


def test_every_arm_has_a_look_that_colour_line_or_marker_alone_would_tell() -> None:
    for aspect in ("colour", "line", "marker"):
        looks = {str(getattr(arm_look(arm), aspect)) for arm in ARMS}
        assert len(looks) >= len(ARMS) - 1, aspect


def test_variants_of_an_arm_can_be_told_apart_and_are_of_its_colour() -> None:
    looks = [plots.variant_look("xsched", variant, 4, variant) for variant in range(4)]
    assert len({each.colour for each in looks}) == len({each.marker for each in looks}) == 4
    parts = [to_rgb(each.colour) for each in looks]
    assert all(blue > green > red for red, green, blue in parts)
    brightness = [sum(each) for each in parts]
    assert brightness == sorted(brightness, reverse=True)


def test_distributions_have_one_legend_for_all_panels() -> None:
    shown = [Panel(f"priority {p}", curves=curves(ARMS, 4.0 - p)) for p in (3, 2, 1)]
    figure = plots.latency_cdfs(shown)
    assert legend_of(figure) == ARMS
    assert [axes.get_title(loc="left") for axes in figure.axes] == [p.title for p in shown]
    check(figure)


def test_a_thinned_distribution_keeps_its_shape_and_all_of_its_tail() -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 20_000)
    drawn, shares = figures.distribution(values)
    assert len(drawn) < 700
    assert drawn[0] == values.min()
    assert (drawn[-200:] == np.sort(values)[-200:]).all()
    at = np.searchsorted(np.sort(values), drawn, side="right") / len(values)
    assert np.abs(shares - at).max() < 1e-9


def test_estimates_against_a_swept_value() -> None:
    values = ["1", "2", "4", "8"]
    lines = [
        Series("xsched", [about(10 * float(v)) for v in values], arm_look("xsched")),
        Series("native", [about(90.0)] * 4, arm_look("native"), constant=True),
        Series("solo", [about(5.0), NOTHING, about(6.0), NOTHING], arm_look("solo")),
    ]
    figure = plots.against("threshold (commands)", "p99 (ms)", values, [Panel("priority 1", lines)])
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert [t.get_text() for t in axes.get_xticklabels()] == values
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == [1, 2, 4, 8]
    assert legend_of(figure) == ["xsched", "native", "solo"]
    low, high = axes.get_ylim()
    assert low < 4.5
    assert high > 96
    check(figure)


@pytest.mark.parametrize(("high", "arrows"), [(math.inf, 1), (120.0, 0)])
def test_an_interval_without_an_upper_end_has_an_arrow(high: float, arrows: int) -> None:
    estimate = Estimate(100.0, Interval(90.0, high))
    lines = [Series("xsched", [estimate], Look("#000000", "-", "o"))]
    figure = plots.against("x", "y", ["1"], [Panel("", lines)])
    (axes,) = figure.axes
    assert sum(line.get_marker() == "^" for line in axes.get_lines()) == arrows
    assert axes.get_ylim()[1] > 100
    check(figure)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (["4", "8", "16", "64"], "log"),
        (["0.2", "0.4", "0.6", "0.8"], "linear"),
        (["0", "1", "2", "4"], "linear"),
        (["5"], "linear"),
    ],
)
def test_a_swept_number_is_where_its_value_is(values: list[str], scale: str) -> None:
    """Also beside something that does not depend on it."""
    lines = [
        Series("xsched", [about(3.0)] * len(values), arm_look("xsched")),
        Series("native", [about(9.0)] * len(values), arm_look("native"), constant=True),
    ]
    figure = plots.against("x", "y", values, [Panel("", lines)])
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    drawn = np.asarray(axes.get_lines()[0].get_xdata(), float)
    assert drawn == pytest.approx([float(value) for value in values])
    check(figure)


def test_names_on_an_axis_do_not_run_into_each_other() -> None:
    values = [str(value) for value in (1, 2, 3, 4, 1000)]
    lines = [Series("", [about(3.0)] * 5, arm_look("xsched"))]
    figure = plots.against("x", "y", values, [Panel("", lines)])
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()][-1] == "1000"
    figure = plots.against("x", "y", [str(n) for n in range(1, 31)], [Panel("", [])])
    assert len(figure.axes[0].get_xticklabels()) < 20
    plt.close("all")


def test_a_quantile_that_is_the_maximum_is_hollow() -> None:
    estimates = [Estimate(3.0), Estimate(4.0, is_maximum=True)]
    series = Series("xsched", estimates, Look("#123456"))
    for figure in (
        plots.against("x", "y", ["4", "8"], [Panel("", [series])]),
        plots.dots("x", ["a", "b"], [series]),
    ):
        markers = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
        assert [line.get_markerfacecolor() for line in markers] == ["#123456", "white"]
    plt.close("all")


def test_the_tail_ends_at_the_share_of_one_request() -> None:
    figure = plots.latency_tails([Panel("priority 1", curves=curves(["native"]))])
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    shares = np.asarray(axes.get_lines()[0].get_ydata(), float)
    assert shares.max() == pytest.approx(1)
    assert shares.min() == pytest.approx(1 / 3000)
    check(figure)


def test_a_single_line_needs_no_legend() -> None:
    lines = [Series("xsched", [about(3.0), about(4.0)], arm_look("xsched"))]
    assert not plots.against("x", "y", ["4", "8"], [Panel("", lines)]).legends


def test_arms_side_by_side_with_long_names() -> None:
    rows = [*ARMS, "xsched, threshold=64, batch_size=32"]
    series = [
        Series(f"priority {p}", [about(10.0 * p)] * len(rows), plots.look(p)) for p in (1, 2, 3)
    ]
    figure = plots.dots("p99 response latency (ms)", rows, series)
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:-1] == ARMS
    assert names[-1].endswith("…")
    check(figure)


def test_a_heat_map_has_its_numbers_and_a_dash_for_what_is_not_there() -> None:
    values = np.array([[1.0, 20.0, 3000.0], [4.0, math.nan, 6.5]])
    labels = ("threshold (commands)", "batch size (commands)", "p99 of priority 1 (ms)")
    figure = plots.heat_map(labels, ["4", "8", "16"], ["2", "4"], values)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.texts] == ["1.00", "20.0", "3000", "4.00", "–", "6.50"]
    assert not axes.images  # vector
    check(figure)


def test_a_heat_map_of_equal_values_is_drawn_all_the_same() -> None:
    check(plots.heat_map(("a", "b", "c"), ["4"], ["2"], np.array([[7.0]])))


def test_shares_have_a_mark_at_what_each_task_is_entitled_to() -> None:
    tasks = [
        Share("gold", Estimate(0.7, Interval(0.65, 0.75)), 0.75, plots.look(0)),
        Share("a task with a long name", Estimate(0.3), 0.25, plots.look(1)),
    ]
    figure = plots.shares([("native", tasks), ("xsched", tasks)])
    assert legend_of(figure) == ["entitlement"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [70.0, 30.0]  # type: ignore[attr-defined]
    check(figure)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (8.0, 3000.0, ["10", "100", "1000"]),
        (9.0, 95.0, ["10", "30", "100"]),
        (15.0, 60.0, ["15", "20", "30", "40", "50"]),
        (30.0, 42.0, ["30", "35", "40", "45"]),
        (0.02, 60_000.0, ["0.1", "1", "10", "100", "1000", "10000"]),
    ],
)
def test_logarithmic_axes_have_a_few_round_ticks(low: float, high: float, ticks: list[str]) -> None:
    _, (axes,) = figures.panels([""])
    figures.plain_log(axes.yaxis, [low, high, math.nan])
    formatted = axes.yaxis.get_major_formatter()
    assert [formatted(tick) for tick in axes.yaxis.get_majorticklocs()] == ticks
    plt.close("all")
