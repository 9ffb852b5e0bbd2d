"""The figures of a run and of a sweep. Colours are Okabe and Ito's (2008), safe for colour-blind
readers; sizes are those of one column of a paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, ScalarFormatter

from runner.statistics import TaskRequests

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")
COLUMN_INCHES = (4.6, 3.2)
DPI = 160


def _axes(title: str, x: str, y: str) -> Axes:
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    _, axes = plt.subplots(figsize=COLUMN_INCHES, layout="constrained")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25, linewidth=0.5)
    return axes


def _plain_log(axis: Any) -> None:
    """Logarithmic ticks at 1, 2, 5, 10 …, written as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ScalarFormatter())
    axis.get_major_formatter().set_scientific(False)


def _save(axes: Axes, path: Path) -> None:
    axes.figure.savefig(path, dpi=DPI)  # type: ignore[union-attr]  # a SubFigure never gets here
    plt.close("all")


def latency_cdf(path: Path, title: str, requests: Sequence[TaskRequests]) -> None:
    """Response latency of every task as an empirical distribution; one colour a priority."""
    axes = _axes(title, "response latency (ms)", "share of requests")
    shown = [task for task in requests if len(task.response_ms)]
    priorities = sorted({task.priority for task in shown}, reverse=True)
    for task in shown:
        rank = priorities.index(task.priority)
        peers = [other.name for other in shown if other.priority == task.priority]
        values = np.sort(task.response_ms)
        axes.step(
            values,
            np.arange(1, len(values) + 1) / len(values),
            where="post",
            color=COLOURS[rank % len(COLOURS)],
            linestyle=STYLES[peers.index(task.name) % len(STYLES)],
            linewidth=1.4,
            label=f"{task.name} (priority {task.priority})",
        )
    axes.set_xscale("log")
    _plain_log(axes.xaxis)
    axes.xaxis.set_minor_formatter("")
    axes.set_ylim(0, 1.02)
    if shown:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    _save(axes, path)


def sweep_p99(
    path: Path, title: str, swept: str, rows: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    """p99 of every priority against the swept value; rows: (value, the run's summary)."""
    axes = _axes(title, swept, "p99 response latency (ms)")
    priorities = sorted({int(p) for _, run in rows for p in run["priorities"]}, reverse=True)
    positions = np.arange(len(rows))
    for rank, priority in enumerate(priorities):
        p99 = [
            run["priorities"].get(str(priority), {}).get("latency_ms", {}).get("p99", np.nan)
            for _, run in rows
        ]
        axes.plot(
            positions,
            p99,
            marker="o",
            markersize=4,
            color=COLOURS[rank % len(COLOURS)],
            label=f"priority {priority}",
        )
    axes.set_xticks(positions, [value for value, _ in rows])
    axes.set_xlim(-0.4, len(rows) - 0.6)
    axes.set_yscale("log")
    _plain_log(axes.yaxis)
    axes.yaxis.set_minor_formatter("")
    axes.figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _save(axes, path)
