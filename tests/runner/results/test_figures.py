from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from runner.metrics.requests import TaskRequests
from runner.results.drawings import run as figures
from runner.runs.record import Figure, Summary, TaskSummary
from runner.trial.status import Status


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes of every figure that is saved."""
    kept: list[Axes] = []
    save = figures._save

    def keep(axes: Axes, path: Path) -> None:
        kept.append(axes)
        save(axes, path)

    monkeypatch.setattr(figures, "_save", keep)
    return kept


def test_the_cdf_has_a_line_a_task_and_a_colour_a_priority(
    tmp_path: Path, drawn: list[Axes]
) -> None:
    times = np.arange(1, 101, dtype=np.int64) * 1_000_000
    none = np.zeros((0, 3), np.int64)
    tasks = [
        TaskRequests(name, p, 100, times * 0, times * 0, times, none)
        for name, p in (("high-1", 3), ("high-2", 3), ("low", 1))
    ]
    empty = TaskRequests("never", 0, 100, times[:0], times[:0], times[:0], none)
    figures.latency_cdf(tmp_path / "cdf.png", "title", [*tasks, empty])
    lines = drawn[0].get_lines()
    assert [line.get_label() for line in lines] == [
        "high-1 (priority 3)",
        "high-2 (priority 3)",
        "low (priority 1)",
    ]
    colours = [line.get_color() for line in lines]
    assert colours[0] == colours[1] != colours[2]
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert np.max(lines[0].get_ydata()) == 1.0
    assert (tmp_path / "cdf.png").stat().st_size > 10_000
    assert plt.get_fignums() == []


def test_the_sweep_has_a_line_a_priority_in_the_order_of_the_values(
    tmp_path: Path, drawn: list[Axes]
) -> None:
    def run(p99: float) -> Summary:
        tasks = {"urgent": TaskSummary(priority=3), "idle": TaskSummary(priority=1)}
        figures = {"p99_ms/priority_3": Figure(p99)}
        return Summary(name="r", status=Status.FINISHED, tasks=tasks, figures=figures)

    rows = [("4", run(1.0)), ("16", run(3.0)), ("8", run(2.0))]
    figures.sweep_p99(tmp_path / "s.png", "title", "xsched.threshold", rows)
    high, low = drawn[0].get_lines()
    assert list(high.get_ydata()) == [1.0, 3.0, 2.0]  # type: ignore[arg-type]
    assert np.isnan(low.get_ydata()).all()
    assert [tick.get_text() for tick in drawn[0].get_xticklabels()] == ["4", "16", "8"]
