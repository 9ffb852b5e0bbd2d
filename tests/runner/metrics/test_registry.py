from pathlib import Path

import numpy as np
import pytest

from runner.metrics import METRICS, Metric
from tests.runner.metrics.made import task

DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_says_unit_and_formula(metric: Metric) -> None:
    assert metric.unit in ("ms", "1/s", "ratio", "tasks", "share")
    assert metric.formula


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_is_documented(metric: Metric) -> None:
    lines = DOCS.read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| `{metric.tag}`"))
    assert f"| {metric.unit} |" in row
    assert f"| {'higher' if metric.higher_is_better else 'lower'} |" in row


def test_no_metric_is_made_up_for_tasks_without_requests() -> None:
    nothing = task([1.0, 2.0])
    nothing = type(nothing)("b", 0, np.array([]), np.array([]), np.array([]), 1.0, 1.0)
    assert all(metric([nothing]) is None for metric in METRICS.values())
    assert all(metric([]) is None for metric in METRICS.values())


def test_the_figures_of_the_plan_are_there() -> None:
    assert set(METRICS) >= {
        *("p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "mean_ms", "max_ms"),
        *("throughput_rps", "slowdown_p50", "slowdown_p99", "stp", "antt"),
        *("jain", "share_error", "slo_attainment"),
    }
