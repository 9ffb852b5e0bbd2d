import math

import pytest

from runner.metrics.intervals import Estimate, Interval
from runner.runs.record import Figure, Provenance, Summary, TaskSummary
from runner.trial.status import Status


@pytest.mark.parametrize(
    ("estimate", "figure"),
    [
        (Estimate(2.0), Figure(2.0)),
        (Estimate(2.0, Interval(1.0, 3.0)), Figure(2.0, (1.0, 3.0))),
        (Estimate(2.0, Interval(1.0, math.inf)), Figure(2.0, (1.0, None))),
        (Estimate(2.0, Interval(-math.inf, 3.0)), Figure(2.0, (None, 3.0))),
        (Estimate(2.0, Interval(-math.inf, math.inf)), Figure(2.0, (None, None))),
    ],
)
def test_a_figure_is_an_estimate_whose_unknown_ends_are_none(
    estimate: Estimate, figure: Figure
) -> None:
    assert Figure.of(estimate) == figure
    assert figure.estimate == estimate


def test_an_end_at_zero_is_known() -> None:
    assert Figure.of(Estimate(0.5, Interval(0.0, 1.0))).interval == (0.0, 1.0)


def test_a_summary_says_figures_by_name_and_priorities_by_urgency() -> None:
    tasks = {name: TaskSummary(priority=p) for name, p in (("a", 1), ("b", 3), ("c", 1))}
    figures = {"p99_ms/priority_3": Figure(2.0), "stp": Figure(0.0)}
    summary = Summary(name="r", status=Status.FINISHED, tasks=tasks, figures=figures)
    assert summary.priorities == [3, 1]
    assert summary.value("p99_ms/priority_3") == 2.0
    assert summary.value("stp") == 0.0
    assert summary.value("p99_ms/b") is None


def test_a_run_that_came_to_nothing_has_failed() -> None:
    failed = Summary.failed("r")
    assert (failed.name, failed.status, failed.valid, failed.as_expected) == (
        "r",
        Status.FAILED,
        False,
        False,
    )
    assert failed.reason == "the run ended without a summary"
    assert (failed.tasks, failed.figures, failed.priorities) == ({}, {}, [])
    assert Summary.failed("r", "no device").reason == "no device"


def test_an_origin_is_known_once_it_has_a_time() -> None:
    assert not Provenance().is_known
    assert Provenance(time="2026-03-01T10:00:00+00:00").is_known
