from typing import Any

from runner.metrics.intervals import Estimate, Interval
from runner.results.cells import BAD, GOOD, NEITHER
from runner.results.comparison import Comparison, Row
from runner.results.expectations import INCONCLUSIVE, MET, NOT_MET, Finding
from runner.results.judging import BETTER, NO_DIFFERENCE, TOO_FEW, WORSE, Beside
from runner.results.verdict import conclusions, controls, expected
from runner.results.wording import verdict


def row(verdict: str = BETTER, treatment: str = "xsched", **changes: Any) -> Row:
    few = verdict == TOO_FEW
    fields: dict[str, Any] = {
        "task_set": "two_bert",
        "figure": "p99_ms/priority_1",
        "scope": "priority 1",
        "tasks": ("urgent",),
        "metric": "p99_ms",
        "unit": "ms",
        "values": {},
        "baseline": "native",
        "treatment": treatment,
        "repeats": 1 if few else 5,
        "baseline_value": Estimate(100.0),
        "treatment_value": Estimate(25.0),
        "ratio": 0.25,
        "difference": None,
        "interval": None if few else Interval(0.2, 0.3),
        "p": None if few else 0.001,
        "p_flips": None,
        "primary": True,
        "verdict": verdict,
        "beside_null": None,
    }
    return Row(**fields | changes)


def found(*rows: Row) -> Comparison:
    return Comparison("native", ["xsched.threshold"], [], list(rows), [], [], [])


def test_one_treatment_is_a_sentence_with_its_interval() -> None:
    assert conclusions(found(row(), row(primary=False, metric="p50_ms"))) == [
        (
            "xsched is better than native: p99 of priority 1 is 25.0 against 100 ms, 0.250 times "
            "as much (95 % interval [0.200, 0.300], 5 repeats).",
            GOOD,
        )
    ]


def test_a_ratio_that_is_not_that_of_its_sides_says_why() -> None:
    ((sentence, _),) = conclusions(found(row(as_measured=Estimate(0.26))))
    assert "0.250 times as much at equal pace (95 % interval" in sentence


def test_a_verdict_is_not_claimed_without_the_repeats_for_it() -> None:
    ((sentence, kind),) = conclusions(found(row(TOO_FEW)))
    assert sentence.startswith("No verdict on xsched against native: ")
    assert sentence.endswith("(1 repeat, and a verdict takes 3).")
    assert kind == NEITHER


def test_no_difference_is_said_as_such() -> None:
    ((sentence, kind),) = conclusions(found(row(NO_DIFFERENCE)))
    assert sentence.startswith("No difference shown between xsched and native: ")
    assert kind == NEITHER


def test_what_the_null_control_does_as_well_is_ineffective() -> None:
    ((sentence, kind),) = conclusions(found(row(beside_null=Beside.INEFFECTIVE)))
    said = "xsched is ineffective: shown to differ from xsched_null by less than 10 %."
    assert sentence.endswith(said)
    assert kind == BAD
    ((sentence, kind),) = conclusions(found(row(beside_null=Beside.UNDECIDED)))
    assert (kind, "ineffective" in sentence) == (GOOD, False)


def test_several_treatments_are_counted_and_span_a_range() -> None:
    rows = [
        row(values={"xsched.threshold": "4"}, ratio=0.2),
        row(values={"xsched.threshold": "8"}, ratio=0.4),
        row(WORSE, values={"xsched.threshold": "64"}, ratio=1.6),
    ]
    assert conclusions(found(*rows)) == [
        (
            "p99 of priority 1 against native, 3 treatments: 2 better, 1 worse; ratios from 0.200 "
            "(xsched, threshold=4) to 1.60 (xsched, threshold=64).",
            NEITHER,
        )
    ]
    assert conclusions(found(*rows[:2]))[0][1] == GOOD


def test_the_other_arms_are_said_beside_it() -> None:
    null = row(NO_DIFFERENCE, "xsched_null", ratio=0.98)
    assert controls(found(row(), null)) == [
        "xsched_null against native: no difference shown; ratio 0.980"
    ]
    assert controls(found(null)) == []
    assert conclusions(found(null))[0][0].startswith("No difference shown between xsched_null")


def test_differences_and_fixed_baselines_are_readable() -> None:
    share = row(
        metric="slo_attainment",
        unit="share",
        ratio=None,
        difference=0.125,
        baseline="xsched,xsched.threshold=8",
        values={"xsched.threshold": "4"},
    )
    ((sentence, _),) = conclusions(found(share))
    assert "xsched, threshold=4 is better than xsched, threshold=8: slo attainment" in sentence
    assert "a difference of +0.125" in sentence


def test_every_task_set_has_its_own_sentence() -> None:
    both = conclusions(found(row(task_set="six_bert"), row()))
    assert [sentence.partition(":")[0] for sentence, _ in both] == ["six_bert", "two_bert"]


def test_expectations_are_counted_and_those_in_doubt_are_named() -> None:
    def said(*verdicts: str) -> list[tuple[str, str]]:
        found = [Finding(f"claim {n}", v, 1.0, None, "") for n, v in enumerate(verdicts)]
        return [tuple(mark) for mark in expected(found)]

    assert said() == []
    assert said(MET, MET) == [("Expectations: 2 met.", GOOD)]
    assert said(MET, INCONCLUSIVE) == [
        ("Expectations: 1 met, 1 inconclusive. Inconclusive: claim 1.", NEITHER)
    ]
    assert said(NOT_MET, MET) == [("Expectations: 1 met, 1 not met. Not met: claim 0.", BAD)]


def test_an_interval_that_leaves_out_1_without_a_verdict_says_why() -> None:
    corrected = row(NO_DIFFERENCE, interval=Interval(0.7, 0.9), p=0.08)
    assert verdict(corrected) == "no difference shown (corrected p = 0.0800)"
    flipped = row(NO_DIFFERENCE, interval=Interval(0.7, 0.9), p=0.01, p_flips=0.0625)
    assert verdict(flipped) == "no difference shown (p = 0.0625 by flipped signs)"
    assert verdict(row(NO_DIFFERENCE, interval=Interval(0.7, 1.1), p=0.08)) == NO_DIFFERENCE
    assert verdict(row()) == BETTER
