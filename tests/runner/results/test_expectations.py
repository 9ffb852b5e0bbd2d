"""Expectations of an experiment against runs made by hand."""

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.errors import UserError
from runner.config.schema import Config, ExpectConfig, TaskConfig
from runner.metrics.measurement import Measurement
from runner.proof.checks import Verdict
from runner.results.claims import check_claims, check_figures
from runner.results.expectations import (
    INCONCLUSIVE,
    MET,
    NOT_MET,
    Finding,
    evaluate,
    read_findings,
)
from runner.runs import files
from runner.runs.record import Summary
from runner.runs.run import Run
from runner.trial.status import Status
from tests.runner.metrics.made import task


@dataclass(frozen=True, eq=False)
class MadeRun(Run):
    """A run that has no folder."""

    made: Measurement = field(default_factory=lambda: Measurement({}))

    @property
    def measured(self) -> Measurement:
        return self.made


def run(
    arm: str,
    repeat: int,
    p99: float,
    threshold: str | None = None,
    **suspended: Any,
) -> MadeRun:
    """suspended: of its only task, where there is more to say."""
    urgent = task([p99 / 2] * 50 + [p99] * 50, "urgent", 2)
    summary = Summary(
        name=arm,
        status=Status.FINISHED,
        valid=True,
        task_set="t",
        arm=arm,
        platform="host",
        placement="threads",
        priority="applied" if arm == "xsched" else "not applied",
    )
    return MadeRun(
        folder=Path("/nowhere"),
        summary=summary,
        parameters={},
        values={"xsched.threshold": threshold},
        repeat=repeat,
        made=Measurement({"urgent": replace(urgent, **suspended)}),
    )


def sweep(*xsched: float) -> list[MadeRun]:
    """Native at 100 ms for all thresholds; XSched at 8 as given, at 64 the double."""
    runs = []
    for repeat, p99 in enumerate(xsched):
        runs.append(run("native", repeat, 100))
        runs.append(run("xsched", repeat, p99, "8"))
        runs.append(run("xsched", repeat, 2 * p99, "64"))
    return runs


RATIO: dict[str, Any] = {"of": "arm=xsched xsched.threshold=8", "to": "arm=native"}


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
    values: tuple[float, ...], bound: dict[str, Any], verdict: str
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
    parameters = {"model.name": "gpt2", "seed": 0}
    runs = [replace(each, parameters=parameters) for each in sweep(50, 52, 51)]
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
def test_what_is_proportional_grows_with_the_first_power(slope: float, noise: list[float]) -> None:
    settings = itertools.product(("4", "16"), ("500", "1000", "2000"))
    made: dict[str, list[Run]] = {"line": [], "flat": [], "power": [], "offset": []}
    for (threshold, work), off in zip(settings, noise, strict=True):
        values = {"xsched.threshold": threshold, "xsched.probe_work_us": work}
        product = float(threshold) * float(work)
        for repeat in range(3):
            for name, grown in (
                ("line", product),
                ("flat", 1.0),
                ("power", product**0.8),
                ("offset", product + 4_000),
            ):
                made[name].append(timed(repeat, values, slope * grown * (1 + off)))
    claim = ExpectConfig(
        metric="preemption_p50_ms",
        proportional_to="xsched.threshold xsched.probe_work_us",
        at_least=0.9,
        at_most=1.1,
    )
    verdicts = {name: evaluate([claim], runs)[0].verdict for name, runs in made.items()}
    # R² of a line was above 0.95 for the last two as well.
    assert verdicts == {"line": MET, "flat": NOT_MET, "power": NOT_MET, "offset": NOT_MET}


@pytest.mark.parametrize(("growth", "verdict"), [(1.0, INCONCLUSIVE), (-1.0, NOT_MET)])
def test_a_repeat_that_does_not_grow_counts(growth: float, verdict: str) -> None:
    """Three repeats are proportional and four fall, or all do."""
    claim = ExpectConfig(
        metric="preemption_p50_ms", proportional_to="xsched.threshold", at_least=0.9, at_most=1.1
    )
    runs = [
        timed(repeat, {"xsched.threshold": at}, float(at) ** (growth if repeat < 3 else -1.0))
        for repeat in range(7)
        for at in ("4", "8", "16")
    ]
    assert evaluate([claim], runs)[0].verdict != MET
    if growth < 0:
        assert evaluate([claim], runs)[0].verdict == verdict


def timed(repeat: int, values: dict[str, str], ms: float) -> Run:
    """A run whose queue took so long to be quiet, at every suspension."""
    return replace(run("xsched", repeat, 1.0, preemption_ms=np.full(20, ms)), values=dict(values))


def test_two_runs_make_no_line() -> None:
    runs = [
        timed(repeat, {"xsched.threshold": threshold}, float(threshold))
        for repeat in range(3)
        for threshold in ("4", "8")
    ]
    claim = ExpectConfig(
        metric="preemption_p50_ms", proportional_to="xsched.threshold", at_least=0.9
    )
    assert evaluate([claim], runs)[0].verdict == INCONCLUSIVE


def test_runs_that_are_not_there_prove_nothing() -> None:
    (found,) = evaluate([ExpectConfig(of="arm=solo", at_most=1)], sweep(50, 51, 52))
    assert (found.verdict, found.value) == (INCONCLUSIVE, None)


def test_invalid_runs_prove_nothing() -> None:
    runs = [replace(each, summary=replace(each.summary, valid=False)) for each in sweep(50, 51, 52)]
    (found,) = evaluate([ExpectConfig(of="arm=xsched", at_most=200)], runs)
    assert (found.verdict, found.why) == (INCONCLUSIVE, "there is no such run that is valid")


@pytest.mark.parametrize(("counts", "verdict"), [((0, 0, 0), MET), ((0, 0, 9), INCONCLUSIVE)])
def test_a_value_of_zero_counts(counts: tuple[int, ...], verdict: str) -> None:
    runs = [counted(run("native", repeat, 100), count) for repeat, count in enumerate(counts)]
    (found,) = evaluate([ExpectConfig(metric="preemptions", of="arm=native", at_most=0)], runs)
    assert found.verdict == verdict
    (found,) = evaluate([ExpectConfig(metric="preemptions", of="arm=native", at_least=1)], runs)
    assert found.verdict != MET


def counted(made: MadeRun, preemptions: int) -> MadeRun:
    return replace(made, made=replace(made.made, preemptions=preemptions))


def test_a_figure_that_may_be_zero_is_subtracted() -> None:
    runs = [
        counted(run(arm, repeat, 100, None if arm == "native" else "8"), count + repeat)
        for repeat in range(3)
        for arm, count in (("native", 0), ("xsched", 50))
    ]
    (found,) = evaluate([ExpectConfig(metric="preemptions", **RATIO, at_least=40)], runs)
    assert (found.verdict, found.value) == (MET, 50)


def test_a_ratio_with_zero_is_no_value_that_could_be_left_out() -> None:
    runs = [run("native", n, 100) for n in range(4)]
    runs += [run("xsched", n, 0.0 if n == 3 else 50, "8") for n in range(4)]
    (found,) = evaluate([ExpectConfig(**RATIO, at_most=0.8)], runs)
    assert (found.verdict, found.why) == (INCONCLUSIVE, "a value is zero, which no ratio takes")


def test_a_text_of_the_summary_is_compared() -> None:
    claims = [
        ExpectConfig(metric="priority", of="arm=native", equals="not applied"),
        ExpectConfig(metric="priority", of="arm=xsched", equals="not applied"),
    ]
    assert [found.verdict for found in evaluate(claims, sweep(50))] == [MET, NOT_MET]


def test_claims_for_another_platform_are_not_judged() -> None:
    assert evaluate([ExpectConfig(of="arm=native", platform="cuda", at_most=1)], sweep(50)) == []


def test_a_failed_run_is_no_evidence_for_a_figure() -> None:
    runs = [
        replace(each, summary=replace(each.summary, status=Status.FAILED))
        for each in sweep(50, 51, 52)
    ]
    (found,) = evaluate([ExpectConfig(of="arm=xsched", at_most=200)], runs)
    assert (found.verdict, found.value) == (INCONCLUSIVE, None)
    (found,) = evaluate([ExpectConfig(metric="status", of="arm=xsched", equals="FAILED")], runs)
    assert found.verdict == MET


# --- what a sweep's folder keeps -----------------------------------------------------------------


def test_findings_are_read_back_as_they_were(tmp_path: Path) -> None:
    findings = [
        *evaluate([ExpectConfig(what="w", **RATIO, at_most=0.8)], sweep(50, 52, 51)),
        *evaluate([ExpectConfig(what="t", metric="priority", equals="applied")], sweep(50)),
        *evaluate([ExpectConfig(what="few", **RATIO, at_most=0.8)], sweep(50)),
        Finding("open", NOT_MET, 1.25, (1.1, None), "≤ 1"),
    ]
    files.write_json(tmp_path / files.EXPECTATIONS, findings)
    assert read_findings(tmp_path) == findings
    shown = [each.shown for each in findings]
    assert shown[0].startswith("[0.")
    assert shown[1:] == ["–", "fewer than 3 repeats", "[1.10, > max]"]


@pytest.mark.parametrize("text", [None, "{", "{}", '[{"what": 3}]'])
def test_without_findings_that_can_be_read_there_are_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / files.EXPECTATIONS).write_text(text)
    assert read_findings(tmp_path) == []
    assert read_findings(None) == []


# --- before a sweep ------------------------------------------------------------------------------


def config(*expect: ExpectConfig, primary: str | None = None) -> Config:
    made = Config()
    made.task_set.tasks["only"] = TaskConfig()
    made.sweep.primary, made.expect = primary, list(expect)
    return made


@pytest.mark.parametrize(
    ("primary", "says"),
    [
        ("p98_ms", "there is no figure p98_ms"),
        ("p99_ms/nobody", "the task set has no nobody"),
        ("p99_ms/priority_7", "the task set has no priority_7"),
        ("p99_ms/system", "arms are compared by a task's or a priority's figure"),
        ("throughput_rps/total", "arms are compared by a task's or a priority's figure"),
        ("stp/only", "stp has one value a run, and none of only"),
        ("slo_attainment", "only has no deadline_us"),
        ("slo_attainment/only", "only has no deadline_us"),
        ("slo_attainment/priority_0", "only has no deadline_us"),
        ("share_error", "only has no utilization"),
    ],
)
def test_a_primary_figure_that_no_run_will_have_is_refused(primary: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        check_figures(config(primary=primary))
    assert str(error.value).startswith(f"sweep.primary={primary}: {says}")


@pytest.mark.parametrize(
    "figure",
    ["p50_ms", "p99_ms/only", "p99_ms/priority_0", "p99_ms/highest", "throughput_rps/total", "stp"],
)
def test_a_figure_that_the_runs_will_have(figure: str) -> None:
    check_figures(config(ExpectConfig(what="w", metric=figure, at_most=1.0)))
    if "total" not in figure:
        check_figures(config(primary=figure))


@pytest.mark.parametrize("scope", ["", "/only", "/highest", "/priority_0"])
def test_a_figure_of_a_deadline_needs_one_of_its_own_tasks_alone(scope: str) -> None:
    made = config(primary=f"slo_attainment{scope}")
    made.task_set.tasks["only"].deadline_us = 5000  # type: ignore[attr-defined]  # a hint
    made.task_set.tasks["below"] = TaskConfig(priority=-1)
    check_figures(made)
    made.sweep.primary = "slo_attainment/lowest"
    with pytest.raises(UserError, match="below has no deadline_us"):
        check_figures(made)


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"of": "arm=xsched"}, "it has no bound"),
        ({"of": "xsched", "at_most": 1.0}, "not understood"),
        ({"to": "native", "at_most": 1.0}, r"expect\.0\.to=native: not understood"),
        ({"of": "xsched.treshold=64", "at_most": 1.0}, "there is no such key"),
        ({"of": "arm=xsched", "proportional_to": "threshold", "at_most": 1.0}, "no such key"),
        ({"metric": "p98_ms", "at_most": 1.0}, r"expect\.0\.metric=p98_ms: there is no figure"),
        ({"metric": "p99_ms/nobody", "at_most": 1.0}, "the task set has no nobody"),
        ({"metric": "p99_ms", "equals": "proven"}, "a run has no such text"),
        ({"metric": "proof", "equals": "proven", "at_most": 1.0}, "a text has no bounds"),
        ({"of": "arm=xsched", "to": "arm=xsched", "at_most": 0.5}, "the ratio is always 1"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(claim: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_figures(config(ExpectConfig(what="w", **claim)))


@pytest.mark.parametrize(
    "claim",
    [
        {"of": "arm=xsched model=gpt2 task_set.tasks.only.priority=0", "at_most": 1.0},
        {"metric": "proof", "of": "arm=xsched", "equals": "proven"},
        {"proportional_to": "xsched.threshold xsched.probe_work_us", "at_least": 0.9},
    ],
)
def test_a_claim_that_can_be_judged_is_taken(claim: dict[str, Any]) -> None:
    check_figures(config(ExpectConfig(what="w", **claim)))


def test_what_a_comparison_leaves_out_is_no_evidence() -> None:
    """A run that its limit cut lacks its slowest requests."""
    note = "the window was cut at limit_s=5 (urgent 5/30)"
    cut = [
        replace(each, summary=replace(each.summary, cut=True, notes=(note,)))
        for each in sweep(50, 51, 52)
    ]
    (found,) = evaluate([ExpectConfig(of="arm=xsched", at_most=200)], cut)
    assert (found.verdict, found.value) == (INCONCLUSIVE, None)


def test_what_a_refused_run_had_was_not_in_effect() -> None:
    runs = [
        replace(
            each,
            summary=replace(
                each.summary, status=Status.FAILED, proof=Verdict.FAILED, level="block"
            ),
        )
        for each in sweep(50, 51, 52)
    ]
    claims = [
        ExpectConfig(metric="level", of="arm=xsched", equals="block"),
        ExpectConfig(metric="proof", of="arm=xsched", equals="failed"),
    ]
    assert [found.verdict for found in evaluate(claims, runs)] == [INCONCLUSIVE, MET]


def test_a_figure_cannot_be_claimed_to_grow_with_a_text() -> None:
    class Point:
        def __init__(self, level: str) -> None:
            self.level = level

        def setting(self, key: str) -> str | None:
            return self.level

    claim = ExpectConfig(proportional_to="xsched.level", at_least=0.9)
    points = [Point(level) for level in ("block", "deactivate", "interrupt")]
    with pytest.raises(UserError, match=r"cannot grow with xsched\.level=block"):
        check_claims(config(claim), points)
