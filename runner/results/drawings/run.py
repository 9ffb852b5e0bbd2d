"""The drawings of one run, and of the p99 of a sweep."""

from collections.abc import Sequence

import numpy as np
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
from runner.runs.record import Summary

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


def sweep_p99(title: str, swept: str, rows: Sequence[tuple[str, Summary]]) -> Figure:
    """p99 of every priority against the swept value; rows: (value, the run's summary)."""
    figure, axes = _panel(title, swept, "p99 response latency (ms)")
    priorities = sorted({p for _, run in rows for p in run.priorities}, reverse=True)
    positions = np.arange(len(rows))
    drawn: list[float] = []
    for rank, priority in enumerate(priorities):
        known = [run.figures.get(f"p99_ms/priority_{priority}") for _, run in rows]
        p99 = [np.nan if figure is None else figure.value for figure in known]
        largest = [at for at, figure in enumerate(known) if figure and figure.is_maximum]
        drawn += p99
        colour = COLOURS[rank % len(COLOURS)]
        axes.plot(positions, p99, marker="o", color=colour, label=f"priority {priority}")
        if largest:
            axes.plot(positions[largest], np.take(p99, largest), "o", color="white", markersize=3)
            axes.set_ylabel("p99 response latency (ms)\nhollow: the maximum")
    axes.set_xticks(positions, [value for value, _ in rows])
    axes.set_xlim(-0.4, len(rows) - 0.6)
    plain_log(axes.yaxis, drawn)
    legend_below(figure, columns=3)
    return figure
