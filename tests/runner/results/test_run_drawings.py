from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from runner.metrics.requests import TaskRequests
from runner.results.drawings.run import latency_cdf
from runner.results.drawings.style import save


def test_the_cdf_has_a_line_a_task_and_a_colour_a_priority(tmp_path: Path) -> None:
    before = plt.get_fignums()
    times = np.arange(1, 101, dtype=np.int64) * 1_000_000
    none = np.zeros((0, 3), np.int64)
    tasks = [
        TaskRequests(name, p, 100, times * 0, times * 0, times, none)
        for name, p in (("high-1", 3), ("high-2", 3), ("low", 1))
    ]
    empty = TaskRequests("never", 0, 100, times[:0], times[:0], times[:0], none)
    drawing = latency_cdf("title", [*tasks, empty])
    lines = drawing.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [
        "high-1 (priority 3)",
        "high-2 (priority 3)",
        "low (priority 1)",
    ]
    colours = [line.get_color() for line in lines]
    assert colours[0] == colours[1] != colours[2]
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert np.max(lines[0].get_ydata()) == 1.0
    save(drawing, tmp_path / "cdf.png")
    assert (tmp_path / "cdf.png").stat().st_size > 10_000
    assert plt.get_fignums() == before


@pytest.mark.filterwarnings("error")
def test_many_tasks_are_named_by_their_priority(tmp_path: Path) -> None:
    """The names of 300 left no room for the figure, and matplotlib said so in the terminal."""
    times = np.arange(1, 4, dtype=np.int64) * 1_000_000
    none = np.zeros((0, 3), np.int64)
    tasks = [
        TaskRequests(f"t{n}", n % 3, 3, times * 0, times * 0, times + n, none) for n in range(300)
    ]
    drawing = latency_cdf("title", tasks)
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"priority {n}" for n in range(3)]
    save(drawing, tmp_path / "cdf.png")
