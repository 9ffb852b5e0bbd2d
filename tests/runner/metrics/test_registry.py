from pathlib import Path

import numpy as np
import pytest

from runner.metrics import METRICS, Metric
from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement
from runner.metrics.registry import About
from tests.runner.metrics.made import task

BETTER = {True: "higher", False: "lower", None: "neither"}
DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_says_unit_and_formula(metric: Metric) -> None:
    assert metric.unit in ("ms", "1/s", "ratio", "tasks", "share", "preemptions", "µs")
    assert metric.formula


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_is_documented(metric: Metric) -> None:
    lines = DOCS.read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| `{metric.tag}`"))
    assert f"| {metric.unit} |" in row
    assert f"| {BETTER[metric.higher_is_better]} |" in row


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
        *("share", "preemptions", "against_policy", "saturation", "stolen", "preemption_p50_ms"),
        "pace_us",
    }


# --- what a metric is about ----------------------------------------------------------------------


def value(tag: str, measured: Measurement, key: str) -> float | None:
    """Of the scope that has this key."""
    scope = next(scope for scope in measured.scopes() if scope.key == key)
    found = METRICS[tag].of(measured, scope)
    return found.value if found else None


TWO = {"a": task([10.0] * 9, "a", 1), "b": task([10.0] * 3, "b", window_ms=90.0)}


def test_each_kind_of_metric_is_given_what_it_is_about() -> None:
    measured = Measurement(TWO, preemptions=3, against_policy=0.25, saturation=0.5)
    assert value("max_ms", measured, "b") == 10
    assert value("share", measured, "a") == pytest.approx(0.75)
    assert value("share", measured, "priority_0") == pytest.approx(0.25)
    assert value("stp", measured, "system") == pytest.approx(2)
    assert value("preemptions", measured, "system") == 3
    assert value("against_policy", measured, "system") == 0.25
    assert value("against_policy", Measurement(TWO), "system") is None, "nobody can say"


def test_tasks_that_ran_alone_have_no_share_of_each_other() -> None:
    alone = Measurement(TWO, side_by_side=False)
    assert value("share", alone, "a") is None
    assert value("max_ms", alone, "a") == 10


def test_only_metrics_of_the_whole_are_named_without_a_scope() -> None:
    of_all = {tag for tag, metric in METRICS.items() if metric.of_all}
    assert of_all == {
        *("stp", "antt", "jain", "share_error"),
        *("preemptions", "against_policy", "saturation", "stolen", "pace_us"),
    }
    assert METRICS["share"].about is About.PART
    assert Metric("x", "ms", "f", True, lambda tasks: Estimate(1.0)).about is About.TASKS
