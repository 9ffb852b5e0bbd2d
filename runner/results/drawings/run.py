"""The drawing of one run's latencies."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.metrics.task import Task
from runner.results.drawings.style import (
    COLOURS,
    STYLES,
    distribution,
    legend_below,
    panels,
    plain_log,
)

#: Tasks that a legend names one by one; more leave no room for the figure.
MOST_NAMED = 20


def _panel(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure, (axes,) = panels([title])
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def latency_cdf(title: str, tasks: Sequence[Task]) -> Figure:
    """Response latency of every task as an empirical distribution; one colour a priority."""
    figure, axes = _panel(title, "response latency (ms)", "share of requests")
    shown = [task for task in tasks if len(task.response_ms)]
    priorities = sorted({task.priority for task in shown}, reverse=True)
    for task in shown:
        rank = priorities.index(task.priority)
        peers = [other.name for other in shown if other.priority == task.priority]
        label = f"{task.name} (priority {task.priority})"
        if len(shown) > MOST_NAMED:  # a label a colour
            label = f"priority {task.priority}" if task.name == peers[0] else ""
        axes.step(
            *distribution(task.response_ms),
            where="post",
            color=COLOURS[rank % len(COLOURS)],
            linestyle=STYLES[peers.index(task.name) % len(STYLES)],
            label=label,
        )
    ends = [end for task in shown for end in (task.response_ms.min(), task.response_ms.max())]
    plain_log(axes.xaxis, ends)
    axes.set_ylim(0, 1.02)
    if shown:
        legend_below(figure)
    return figure
