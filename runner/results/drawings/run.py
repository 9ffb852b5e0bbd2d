"""The figures of one run, and the p99 of a sweep."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.metrics.task import Task
from runner.results.drawings.style import (
    COLOURS,
    HEIGHT,
    STYLES,
    distribution,
    legend_below,
    panels,
    plain_log,
    save,
)
from runner.runs.record import Summary


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


def latency_cdf(path: Path, title: str, tasks: Sequence[Task]) -> None:
    """Response latency of every task as an empirical distribution; one colour a priority."""
    axes = _axes(title, "response latency (ms)", "share of requests")
    shown = [task for task in tasks if len(task.response_ms)]
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


def sweep_p99(path: Path, title: str, swept: str, rows: Sequence[tuple[str, Summary]]) -> None:
    """p99 of every priority against the swept value; rows: (value, the run's summary)."""
    axes = _axes(title, swept, "p99 response latency (ms)")
    priorities = sorted({p for _, run in rows for p in run.priorities}, reverse=True)
    positions = np.arange(len(rows))
    drawn: list[float] = []
    for rank, priority in enumerate(priorities):
        found = [run.value(f"p99_ms/priority_{priority}") for _, run in rows]
        p99 = [np.nan if value is None else value for value in found]
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
