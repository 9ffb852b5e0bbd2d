"""Expectations of an experiment against records made by hand."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.schema import ExpectConfig
from runner.results.expectations import INCONCLUSIVE, MET, NOT_MET, evaluate, figure
from runner.runs.record import RunRecord


def record(arm: str, repeat: int, p99: float, threshold: str | None = None) -> RunRecord:
    latency = {"p50": p99 / 2, "p99": p99}
    summary: dict[str, Any] = {
        "priority": "applied" if arm == "xsched" else "not applied",
        "preemptions": 3,
        "tasks": {
            "a": {"latency_ms": latency, "throughput_rps": 3.0},
            "b": {"latency_ms": latency, "throughput_rps": 1.0},
        },
        "priorities": {
            "2": {"latency_ms": latency, "throughput_rps": 3.0},
            "-1": {"latency_ms": {"p50": 9.0, "p99": 9.0}, "throughput_rps": 1.0},
        },
    }
    return RunRecord(
        folder=Path("/nowhere"),
        name=arm,
        arm=arm,
        task_set="t",
        platform="host",
        placement="threads",
        values={"xsched.threshold": threshold},
        repeat=repeat,
        status="FINISHED",
        reason="",
        proof="proven",
        valid=True,
        summary=summary,
        config={},
    )


def sweep(*xsched: float) -> list[RunRecord]:
    """Native at 100 ms for all thresholds; XSched at 8 as given, at 64 the double."""
    records = []
    for repeat, p99 in enumerate(xsched):
        records.append(record("native", repeat, 100))
        records.append(record("xsched", repeat, p99, "8"))
        records.append(record("xsched", repeat, 2 * p99, "64"))
    return records


RATIO = {"of": "arm=xsched xsched.threshold=8", "to": "arm=native"}


@pytest.mark.parametrize(
    ("values", "bound", "verdict"),
    [
        ((50, 52, 51), {"at_most": 0.8}, MET),
        ((50, 52, 51), {"at_most": 0.4}, NOT_MET),
        ((50, 90, 70), {"at_most": 0.8}, INCONCLUSIVE),
        ((50, 52, 51), {"at_least": 0.45, "at_most": 0.6}, MET),
        ((50, 52), {"at_most": 0.8}, INCONCLUSIVE),
    ],
)
def test_a_claim_is_met_when_its_whole_interval_is(
    values: tuple[float, ...], bound: dict[str, float], verdict: str
) -> None:
    (found,) = evaluate([ExpectConfig(what="w", **RATIO, **bound)], sweep(*values))
    assert found.verdict == verdict
    assert found.value == pytest.approx(0.5 if len(values) == 2 else found.value, rel=0.05)


def test_too_few_repeats_say_why() -> None:
    (found,) = evaluate([ExpectConfig(**RATIO, at_most=0.8)], sweep(50))
    assert (found.verdict, found.why) == (INCONCLUSIVE, "fewer than 3 repeats")


def test_a_run_that_depends_on_no_threshold_serves_all() -> None:
    expected = ExpectConfig(
        of="arm=xsched xsched.threshold=64", to="arm=native xsched.threshold=64", at_most=1.2
    )
    (found,) = evaluate([expected], sweep(50, 51, 52))
    assert found.verdict == MET
    assert found.value == pytest.approx(1.02, abs=0.01)


def test_what_is_not_swept_is_as_configured() -> None:
    runs = [
        replace(each, config={"model": {"name": "gpt2"}, "seed": 0}) for each in sweep(50, 52, 51)
    ]
    for of, verdict in (
        ("arm=xsched model=gpt2 seed=0", MET),
        ("arm=xsched model=bert_mini", INCONCLUSIVE),
        ("arm=xsched seed=1", INCONCLUSIVE),
    ):
        (found,) = evaluate([ExpectConfig(of=of, at_most=200)], runs)
        assert found.verdict == verdict, of


@given(
    slope=st.floats(0.01, 100),
    noise=st.lists(st.floats(-0.01, 0.01), min_size=6, max_size=6),
)
def test_what_is_proportional_lies_on_a_line(slope: float, noise: list[float]) -> None:
    settings = itertools.product(("4", "16"), ("500", "1000", "2000"))
    lines, flat = [], []
    for (threshold, work), off in zip(settings, noise, strict=True):
        values = {"xsched.threshold": threshold, "xsched.probe_work_us": work}
        product = float(threshold) * float(work)
        for repeat in range(3):
            lines.append(timed(repeat, values, slope * product * (1 + off)))
            flat.append(timed(repeat, values, slope * (1 + off)))
    claim = ExpectConfig(
        metric="preemption_ms/p50",
        proportional_to="xsched.threshold xsched.probe_work_us",
        at_least=0.95,
    )
    (found,) = evaluate([claim], lines)
    assert found.verdict == MET
    # A figure that does not grow is no line through the origin, however little it scatters.
    (found,) = evaluate([claim], flat)
    assert found.verdict != MET


def timed(repeat: int, values: dict[str, str], ms: float) -> RunRecord:
    run = record("xsched", repeat, 1.0)
    return replace(run, values=dict(values), summary={"preemption_ms": {"p50": ms}})


def test_two_runs_make_no_line() -> None:
    runs = [
        timed(repeat, {"xsched.threshold": threshold}, float(threshold))
        for repeat in range(3)
        for threshold in ("4", "8")
    ]
    claim = ExpectConfig(
        metric="preemption_ms/p50", proportional_to="xsched.threshold", at_least=0.9
    )
    assert evaluate([claim], runs)[0].verdict == INCONCLUSIVE


def test_runs_that_are_not_there_prove_nothing() -> None:
    (found,) = evaluate([ExpectConfig(of="arm=solo", at_most=1)], sweep(50, 51, 52))
    assert (found.verdict, found.value) == (INCONCLUSIVE, None)


def test_a_text_of_the_summary_is_compared() -> None:
    claims = [
        ExpectConfig(metric="priority", of="arm=native", equals="not applied"),
        ExpectConfig(metric="priority", of="arm=xsched", equals="not applied"),
    ]
    assert [found.verdict for found in evaluate(claims, sweep(50))] == [MET, NOT_MET]


def test_claims_for_another_platform_are_not_judged() -> None:
    assert evaluate([ExpectConfig(of="arm=native", platform="cuda", at_most=1)], sweep(50)) == []


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("p99_ms/highest", 100.0),
        ("p99_ms/lowest", 9.0),
        ("p50_ms/priority_2", 50.0),
        ("p50_ms/a", 50.0),
        ("throughput_rps/total", 4.0),
        ("share/a", 0.75),
        ("preemptions", 3.0),
        ("p99_ms/nobody", None),
        ("share/nobody", None),
    ],
)
def test_figures_by_name(metric: str, value: float | None) -> None:
    assert figure(record("native", 0, 100).summary, metric) == value
