"""What neighbours do to each other: the ratio of two sweeps' figures."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # it ships no types

from benchmarks import neighbours

DATA = Path(__file__).parents[2] / "docs" / "results" / "two_gpus"


def test_the_interval_is_welch_s_of_logarithms() -> None:
    """Of unequal scatter and unequal numbers. One variance for both sides would fail."""
    busy, idle = [1.1, 1.3, 1.2, 1.9], [1.0, 1.02, 0.98, 1.01, 1.0, 0.99, 1.03]
    found, within = neighbours.ratio(busy, idle)
    theirs = stats.ttest_ind(np.log(busy), np.log(idle), equal_var=False).confidence_interval()
    assert (within.low, within.high) == pytest.approx((np.exp(theirs.low), np.exp(theirs.high)))
    assert found == pytest.approx(np.exp(np.log(busy).mean() - np.log(idle).mean()))


def test_the_published_runs_give_the_figures_of_the_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    neighbours.main(str(DATA / "one_processes.zip"), str(DATA / "two_processes.zip"))
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 16
    page = (DATA.parents[1] / "clusters.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| processes, xsched |"))
    for figure in row.split("|")[2:5]:
        assert figure.strip() in printed
