import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.config.errors import UserError
from runner.platforms.device import DeviceOrigin, GpuInfo
from runner.results.comparison import Comparison, compare
from runner.results.judging import BETTER, NO_DIFFERENCE, NO_RATIO, TOO_FEW, WORSE, Beside
from runner.results.pairs import apart
from runner.results.wording import numbers, value, verdict, warnings
from runner.runs import files
from runner.runs.load import load
from runner.runs.record import Provenance, Where
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, at_clock, write_repeats, write_run, write_sweep

RNG = np.random.default_rng(42)


@pytest.fixture(autouse=True)
def drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has the same numbers, whichever ran before it."""
    monkeypatch.setattr(sys.modules[__name__], "RNG", np.random.default_rng(42))


def times(scale: float, repeats: int = 3, requests: int = 200) -> list[NDArray[np.float64]]:
    """Latencies of so many repeats, 1 % apart from each other in speed."""
    drawn = RNG.uniform(0.9, 1.1, (repeats, requests)) * RNG.uniform(0.99, 1.01, (repeats, 1))
    return list(scale * drawn)


def compared(folder: Path, **options: object) -> Comparison:
    return compare(load(folder).runs, **options)  # type: ignore[arg-type]


def verdicts(found: Comparison, figure: str = "p99_ms/priority_1") -> dict[str, str]:
    return {row.treatment: row.verdict for row in found.rows if row.figure == figure}


# ------------------------------------------------------------------------- verdicts


def test_better_worse_and_no_difference(tmp_path: Path) -> None:
    arms = {
        "native": times(20, 5),
        "xsched": times(10, 5),
        "xsched_null": times(20, 5),
        "stream_priority": times(40, 5),
    }
    found = compared(write_repeats(tmp_path, arms))
    assert found.baseline == "native"
    assert verdicts(found) == {
        "xsched": BETTER,
        "xsched_null": NO_DIFFERENCE,
        "stream_priority": WORSE,
    }
    row = next(row for row in found.rows if row.treatment == "xsched")
    assert (row.primary, row.repeats, row.unit) == (True, 5, "ms")
    assert row.ratio == pytest.approx(0.5, rel=0.05)
    assert row.interval is not None
    assert row.interval.low < 0.5 < row.interval.high
    assert row.p is not None
    assert row.p < 0.05
    assert row.baseline_value.value == pytest.approx(22, rel=0.05)


def test_more_is_better_for_throughput(tmp_path: Path) -> None:
    for repeat, jitter in enumerate((1.0, 1.1, 0.95)):
        for arm, extra in (("native", 0), ("xsched", 6)):
            tasks = {
                "busy": MadeTask([10.0 * jitter] * 3, extra=extra),
                "long": MadeTask([10.0] * 20),
            }
            write_run(tmp_path / f"{arm}{repeat}", arm, tasks)
    folders = [tmp_path / f"{arm}{repeat}" for repeat in range(3) for arm in ("native", "xsched")]
    found = compare(load(*folders).runs, primary="throughput_rps/busy")
    (row,) = [row for row in found.rows if row.primary]
    assert (row.figure, row.verdict) == ("throughput_rps/busy", BETTER)
    assert row.ratio == pytest.approx(3)


@pytest.mark.parametrize("repeats", [1, 2])
def test_fewer_than_three_repeats_give_a_ratio_and_no_verdict(tmp_path: Path, repeats: int) -> None:
    arms = {"native": times(20, repeats), "xsched": times(10, repeats)}
    row = compared(write_repeats(tmp_path, arms)).rows[0]
    assert row.ratio == pytest.approx(0.5, rel=0.1)
    assert (row.interval, row.p, row.verdict) == (None, None, TOO_FEW)
    assert TOO_FEW == "no verdict (repeats < 3)"


def test_a_ratio_with_zero_has_no_verdict(tmp_path: Path) -> None:
    found = compared(write_repeats(tmp_path, {"native": [[0.0] * 9] * 3, "xsched": times(1)}))
    row = found.rows[0]
    assert (row.ratio, row.verdict) == (None, NO_RATIO)


def test_shares_are_compared_by_their_difference(tmp_path: Path) -> None:
    folders = []
    for repeat in range(3):
        for arm, response in (("native", [30.0] * 20), ("xsched", [10.0] * 19 + [30.0 + repeat])):
            task = MadeTask(response, configured={"deadline_us": 20_000})
            folders.append(write_run(tmp_path / f"{arm}{repeat}", arm, {"urgent": task}))
    found = compare(load(*folders).runs, primary="slo_attainment/urgent")
    row = found.rows[0]
    assert row.difference == pytest.approx(0.95)
    assert (row.ratio, row.verdict) == (None, BETTER)


def test_an_arm_that_leaves_tasks_out_does_not_say_which_is_the_lowest(tmp_path: Path) -> None:
    folders = []
    for arm, scale in (("urgent_only", 1.0), ("native", 1.0), ("xsched", 2.0)):
        for repeat, jitter in enumerate((1.0, 1.01, 0.99)):
            ran = {"urgent": MadeTask([10.0] * 20, 3), "low": MadeTask([scale * jitter * 9] * 20)}
            there = {"urgent": ran["urgent"]} if arm == "urgent_only" else ran
            tasks = {name: {"priority": task.priority} for name, task in ran.items()}
            config = {"task_set": {"name": "made", "tasks": tasks}}
            folder = tmp_path / f"{arm}{repeat}"
            folders.append(write_run(folder, arm, there, config, repeat))
    found = compare(load(*folders).runs, primary="p50_ms/lowest")
    decided = {row.treatment: (row.figure, row.verdict) for row in found.rows if row.primary}
    assert decided == {"xsched": ("p50_ms/priority_0", WORSE)}


def test_a_run_without_a_configuration_does_not_undo_what_the_others_declare(
    tmp_path: Path,
) -> None:
    declared = {"sweep": {"primary": "p50_ms/urgent"}}
    arms = (("native", 20.0), ("xsched", 10.0))
    folders = [
        write_run(tmp_path / f"{arm}{n}", arm, {"urgent": MadeTask([ms + n] * 9)}, declared, n)
        for arm, ms in arms
        for n in range(3)
    ]
    died = write_run(tmp_path / "died", "native", {"urgent": MadeTask([1.0])}, status=Status.FAILED)
    (died / files.CONFIG).write_text("{}")
    runs = load(*folders).runs
    for found in (compare(runs), compare([*load(died).runs, *runs])):
        assert [row.figure for row in found.primary] == ["p50_ms/urgent"]


def test_below_200_requests_p90_decides(tmp_path: Path) -> None:
    """p99 of 60 is the maximum, which one stall decides."""
    few = {"native": times(20, requests=199), "xsched": times(10, requests=199)}
    assert compared(write_repeats(tmp_path / "few", few)).primary[0].figure == "p90_ms/priority_1"
    many = {"native": times(20, requests=200), "xsched": times(10, requests=200)}
    assert compared(write_repeats(tmp_path / "many", many)).primary[0].figure == "p99_ms/priority_1"


def test_a_p99_that_is_the_maximum_is_called_that(tmp_path: Path) -> None:
    for requests, is_maximum in ((99, True), (100, False)):
        arms = {"native": times(20, requests=requests), "xsched": times(10, requests=requests)}
        found = compared(write_repeats(tmp_path / str(requests), arms), primary="p99_ms")
        row = found.primary[0]
        assert row.treatment_value.is_maximum is is_maximum
        assert numbers(row)[1].endswith(" max") is is_maximum
        assert value(found.arms[0].value)[0].endswith(" max") is is_maximum


def test_tails_are_compared_over_equal_numbers_of_requests(tmp_path: Path) -> None:
    """Of one distribution, 20 requests against 60 in the same time. Fails if all requests count:
    p99 of 60 is then a fifth above that of 20."""
    drawn = np.random.default_rng(3).lognormal(0, 0.5, (2, 40, 60))
    arms = {"native": list(drawn[0]), "xsched": [each[:20] for each in drawn[1]]}
    row = compared(write_repeats(tmp_path, arms), primary="p99_ms").primary[0]
    assert row.ratio == pytest.approx(1, abs=0.12)
    assert row.verdict == NO_DIFFERENCE


def test_flipped_signs_have_to_agree_from_six_repeats(tmp_path: Path) -> None:
    """By the t-test alone, one of six repeats may go the other way."""
    others = [0.8, 0.8, 0.81, 0.79, 0.8, 1.01]
    arms = {"native": [np.full(200, 10.0)] * 6, "xsched": [np.full(200, 10 * x) for x in others]}
    row = compared(write_repeats(tmp_path, arms)).primary[0]
    assert row.p is not None
    assert row.p < 0.05
    assert (row.p_flips, row.verdict) == (4 / 64, NO_DIFFERENCE)


def test_all_treatments_share_one_correction(tmp_path: Path) -> None:
    arms = {"native": times(20), "xsched": times(19.8)}
    alone = compared(write_repeats(tmp_path / "one", arms)).primary[0].p
    more = arms | {name: times(20) for name in ("xsched_null", "stream_priority")}
    together = compared(write_repeats(tmp_path / "three", more)).primary
    assert alone is not None
    assert [row.p for row in together if row.treatment == "xsched"] >= [2 * alone]
    assert len(together) == 3


def test_secondary_p_values_are_corrected_and_the_primary_is_not(tmp_path: Path) -> None:
    arms = {"native": times(20), "xsched": times(15)}
    metrics = ["p50_ms", "p90_ms", "mean_ms"]
    folder = write_repeats(tmp_path, arms)
    together = compared(folder, metrics=["p99_ms", *metrics])
    alone = {
        metric: compared(folder, primary=f"{metric}/priority_1", metrics=[metric]).rows[0].p
        for metric in ("p99_ms", *metrics)
    }
    rows = {row.metric: row for row in together.rows}
    assert rows["p99_ms"].p == alone["p99_ms"]
    smallest = min(metrics, key=lambda metric: alone[metric] or 0)
    assert rows[smallest].p == pytest.approx(3 * (alone[smallest] or 0))
    assert [row.primary for row in together.rows] == [True, False, False, False]


def test_a_task_alone_in_its_priority_is_the_same_figure(tmp_path: Path) -> None:
    arms = {"native": times(20), "xsched": times(15)}
    found = compared(write_repeats(tmp_path, arms), metrics=["p99_ms", "p50_ms"])
    assert [(row.figure, row.tasks, row.primary) for row in found.rows] == [
        ("p99_ms/priority_1", ("urgent",), True),
        ("p50_ms/priority_1", ("urgent",), False),
    ]
    # A family of one: nothing to correct for.
    asked = compared(tmp_path, primary="p50_ms/urgent", metrics=["p50_ms"])
    assert [(row.figure, row.primary) for row in asked.rows] == [("p50_ms/urgent", True)]
    assert found.rows[1].p == asked.rows[0].p


# ------------------------------------------------------------------------- ineffective


def beside_null(
    folder: Path, xsched: float, null: float = 10, jitter: float = 0.0
) -> Beside | None:
    """Of xsched and its null control at these latencies. jitter: of one repeat against the next."""
    arms = {"native": times(20, 5), "xsched": times(xsched, 5), "xsched_null": times(null, 5)}
    arms["xsched"] = [each * (1 + jitter * (n % 2)) for n, each in enumerate(arms["xsched"])]
    row = compared(write_repeats(folder, arms)).rows[0]
    assert row.treatment == "xsched"
    return row.beside_null


def test_what_does_as_much_as_the_null_control_is_ineffective(tmp_path: Path) -> None:
    arms = {"native": times(20, 5), "xsched": times(10, 5), "xsched_null": times(10, 5)}
    found = compared(write_repeats(tmp_path, arms))
    flags = {(row.treatment, row.primary): row.beside_null for row in found.rows}
    assert flags == {
        ("xsched", True): Beside.INEFFECTIVE,
        ("xsched", False): None,
        ("xsched_null", True): None,
        ("xsched_null", False): None,
    }
    assert [row.figure for row in found.ineffective] == ["p99_ms/priority_1"]
    assert verdict(found.rows[0]) == f"{BETTER}; ineffective beside xsched_null"


def test_what_differs_from_the_null_control_is_effective(tmp_path: Path) -> None:
    assert beside_null(tmp_path, 10, 20) is Beside.EFFECTIVE


def test_what_is_not_shown_to_do_the_same_is_undecided(tmp_path: Path) -> None:
    """No difference shown is no evidence that there is none."""
    assert beside_null(tmp_path, 10, 10, jitter=0.8) is Beside.UNDECIDED


def test_without_enough_null_controls_there_is_no_telling(tmp_path: Path) -> None:
    arms = {"native": times(20, 5), "xsched": times(10, 5), "xsched_null": times(10, 2)}
    assert compared(write_repeats(tmp_path, arms)).rows[0].beside_null is None


# ------------------------------------------------------------------------- solo


def test_an_arm_that_is_faster_than_the_tasks_alone_is_a_fault(tmp_path: Path) -> None:
    arms = {"solo": times(10, 5), "native": times(20, 5), "xsched": times(8, 5)}
    found = compared(write_repeats(tmp_path, arms))
    assert [(row.treatment, row.figure) for row in found.too_fast] == [
        ("xsched", "p50_ms/priority_1")
    ]
    (warning,) = warnings(found)
    assert warning.startswith("A fault of measurement: faster than solo in p50: xsched, priority 1")


def test_an_arm_as_fast_as_the_tasks_alone_is_none(tmp_path: Path) -> None:
    arms = {"solo": times(10, 5), "native": times(20, 5), "xsched": times(9.95, 5)}
    assert compared(write_repeats(tmp_path, arms)).too_fast == []


# ------------------------------------------------------------------------- pace


def at_paces(
    folder: Path,
    *pairs: tuple[float | None, float | None],
    arms: tuple[str, str] = ("native", "xsched"),
) -> Comparison:
    """A repeat for each pair of paces, of two arms that do the same work. Of the pace that fixed
    work tells, times show half (`PACE_PART`)."""
    folders = [
        write_run(
            folder / f"{arm}-{repeat}",
            arm,
            {"urgent": MadeTask(np.linspace(9, 11, 200) * (pace or 1.0) ** 0.5 * off, 1)},
            repeat=repeat,
            pace_us=pace,
        )
        for repeat, paces in enumerate(pairs)
        for arm, pace, off in zip(arms, paces, (1, 1.01 if repeat % 2 else 0.99), strict=True)
    ]
    return compare(load(*folders).runs)


def test_a_core_that_was_slower_is_taken_out(tmp_path: Path) -> None:
    """Fails if ratios are as measured, and if all of the pace is taken out."""
    found = at_paces(tmp_path, (1.0, 1.3), (1.0, 1.2), (1.1, 1.3))
    rows = {row.metric: row for row in found.rows}
    for metric in ("p99_ms", "p50_ms"):
        assert rows[metric].ratio == pytest.approx(1, abs=0.01)
        assert rows[metric].as_measured is not None
        assert rows[metric].as_measured.value == pytest.approx(
            (1.3 * 1.2 * 1.3 / 1.1) ** (0.5 / 3), rel=0.01
        )
    assert rows["p99_ms"].verdict == NO_DIFFERENCE
    assert rows["throughput_rps"].as_measured is None, "the rate of an open loop is its arrivals'"


def test_arms_that_run_tasks_alone_are_compared_as_measured(tmp_path: Path) -> None:
    """A core that nobody else wants keeps more of the fixed work in its caches."""
    found = at_paces(tmp_path, (1.0, 1.3), (1.0, 1.2), (1.1, 1.3), arms=("native", "solo"))
    assert {row.as_measured for row in found.rows} == {None}


def test_where_one_pace_is_not_known_ratios_are_as_measured(tmp_path: Path) -> None:
    row = at_paces(tmp_path, (1.0, 1.3), (1.0, None), (1.1, 1.3)).rows[0]
    assert (row.as_measured, row.verdict) == (None, NO_DIFFERENCE)


# ------------------------------------------------------------------------- clocks


def at_clocks(folder: Path, *pairs: tuple[float | None, float | None]) -> Comparison:
    """A repeat for each pair of median SM clocks, of native and of xsched."""
    folders = [
        write_run(
            folder / f"{arm}-{repeat}",
            arm,
            {"urgent": MadeTask(np.linspace(0.9, 1.1, 200) * scale, 1)},
            repeat=repeat,
            device=at_clock(clock),
        )
        for repeat, clocks in enumerate(pairs)
        for arm, scale, clock in zip(("native", "xsched"), (20, 10), clocks, strict=True)
    ]
    return compare(load(*folders).runs)


def test_clocks_that_differ_are_flagged_and_the_verdict_stays(tmp_path: Path) -> None:
    found = at_clocks(tmp_path, (1980, 1980), (1980, 1800), (1965, 1980))
    assert {row.clock_ratio for row in found.rows} == {1800 / 1980}, "of the pair furthest apart"
    assert all(row.clocks_differ for row in found.rows)
    assert verdicts(found) == {"xsched": BETTER}
    assert [row.figure for row in found.unlike] == ["p99_ms/priority_1"]


@pytest.mark.parametrize(("clock", "differs"), [(1020, False), (1021, True), (980, True)])
def test_two_percent_are_let_pass(tmp_path: Path, clock: float, differs: bool) -> None:
    assert at_clocks(tmp_path, (1000, clock)).rows[0].clocks_differ is differs


def test_clocks_that_are_not_known_are_no_difference(tmp_path: Path) -> None:
    unknown = at_clocks(tmp_path / "a", (1980, None), (None, 1200))
    assert {row.clocks_differ for row in unknown.rows} == {None}
    assert unknown.unlike == []
    partly = at_clocks(tmp_path / "b", (1980, None), (1200, 1980))
    assert partly.rows[0].clock_ratio == 1980 / 1200


# ------------------------------------------------------------------------- pairs


def swept(tmp_path: Path, native: list[str | None]) -> Path:
    """xsched at thresholds 4 and 8, and native runs at these values of it."""
    arms = {"xsched 4": times(10), "xsched 8": times(16)}
    values: dict[str, dict[str, str | None]] = {
        "xsched 4": {"xsched.threshold": "4"},
        "xsched 8": {"xsched.threshold": "8"},
    }
    for threshold in native:
        arms[f"native {threshold}"] = times(20 if threshold in (None, "4") else 30)
        values[f"native {threshold}"] = {"xsched.threshold": threshold}
    return write_repeats(tmp_path, arms, values)


def ratios(found: Comparison) -> dict[str | None, float]:
    return {
        row.values["xsched.threshold"]: round(row.ratio or math.nan, 1)
        for row in found.rows
        if row.figure == "p99_ms/priority_1" and row.treatment == "xsched"
    }


def test_a_baseline_that_does_not_depend_on_the_value_serves_all(tmp_path: Path) -> None:
    found = compared(swept(tmp_path, [None]))
    assert ratios(found) == {"4": 0.5, "8": 0.8}
    assert found.swept == ["xsched.threshold"]


def test_a_baseline_with_values_serves_its_own(tmp_path: Path) -> None:
    assert ratios(compared(swept(tmp_path, ["4", "8"]))) == {"4": 0.5, "8": 0.5}
    assert ratios(compared(swept(tmp_path / "some", ["8"]))) == {"8": 0.5}


def test_the_baseline_that_says_more_goes_first(tmp_path: Path) -> None:
    assert ratios(compared(swept(tmp_path, [None, "8"]))) == {"4": 0.5, "8": 0.5}


def test_a_single_arm_is_compared_with_its_first_point(tmp_path: Path) -> None:
    found = compared(swept(tmp_path, []))
    assert found.baseline == "xsched,xsched.threshold=4"
    assert ratios(found) == {"8": 1.6}
    other = compared(tmp_path, baseline="xsched,xsched.threshold=8")
    assert ratios(other) == {"4": 0.6}


def test_runs_are_paired_within_their_repeat(tmp_path: Path) -> None:
    """Repeats that differ by factors of ten in speed, and a treatment that is always at 0.8."""
    factors = (1, 10, 100, 1000)
    noise = [RNG.uniform(0.99, 1.01) for _ in factors]
    arms = {
        "native": [[10.0 * f] * 20 for f in factors],
        "xsched": [[8.0 * f * n] * 20 for f, n in zip(factors, noise, strict=True)],
    }
    row = compared(write_repeats(tmp_path, arms)).rows[0]
    assert row.verdict == BETTER
    assert row.ratio == pytest.approx(0.8, rel=0.02)


def test_a_repeat_without_its_other_side_does_not_count(tmp_path: Path) -> None:
    found = compared(write_repeats(tmp_path, {"native": times(20, 3), "xsched": times(10, 4)}))
    assert {row.repeats for row in found.rows} == {3}
    assert [row.repeats for row in found.arms] == [3, 4]


def test_priorities_of_other_tasks_are_not_compared(tmp_path: Path) -> None:
    both = {"a": MadeTask([1.0] * 9, 1), "b": MadeTask([2.0] * 9, 0)}
    folders = [
        write_run(tmp_path / "native", "native", both),
        write_run(tmp_path / "urgent", "urgent_only", {"a": both["a"]}),
    ]
    found = compare(load(*folders).runs)
    assert {row.scope for row in found.rows} == {"priority 1"}, "neither b nor the system"
    assert {row.tasks for row in found.rows} == {("a",)}


def test_tasks_that_run_alone_make_no_system(tmp_path: Path) -> None:
    both = {"a": MadeTask([1.0] * 9, 1), "b": MadeTask([2.0] * 9, 0)}
    folders = [write_run(tmp_path / arm, arm, both) for arm in ("solo", "native")]
    found = compare(load(*folders).runs, baseline="solo")
    assert "system" not in {row.scope for row in found.rows}


def test_task_sets_are_compared_apart(tmp_path: Path) -> None:
    entries = []
    for task_set, scale, priority in (("small", 1.0, 2), ("large", 50.0, 5)):
        for arm, factor in (("native", 2.0), ("xsched", 1.0)):
            task = MadeTask(factor * times(scale)[0], priority)
            config = {"task_set": {"name": task_set, "tasks": {}}}
            name = f"{task_set}-{arm}"
            write_run(tmp_path / name, arm, {"urgent": task}, config)
            entries.append({"folder": name, "values": {"arm": arm, "task_set": task_set}})
    found = compared(write_sweep(tmp_path, entries))
    assert [row.task_set for row in found.primary] == ["large", "small"]
    rows = {row.figure: row for row in found.rows}
    assert rows["p99_ms/priority_5"].ratio == pytest.approx(0.5, rel=0.1)
    assert rows["p99_ms/priority_2"].ratio == pytest.approx(0.5, rel=0.1)


# ------------------------------------------------------------------------- left out


def test_failed_interrupted_and_invalid_runs_are_listed(tmp_path: Path) -> None:
    task = {"urgent": MadeTask([1.0] * 9)}
    notes = ("something", "not valid: the runner was late")
    folders = [
        write_run(tmp_path / "native", "native", task),
        write_run(tmp_path / "xsched", "xsched", task),
        write_run(tmp_path / "bad", "solo", task, status=Status.FAILED, reason="no level"),
        write_run(tmp_path / "cut", "solo", task, status=Status.KILLED),
        write_run(tmp_path / "late", "stream_priority", task, valid=False, notes=notes),
    ]
    found = compare(load(*folders).runs)
    assert {run.name: reason for run, reason in found.left_out} == {
        "bad": "FAILED: no level",
        "cut": "KILLED",
        "late": "not valid: the runner was late",
    }
    assert {row.treatment for row in found.rows} == {"xsched"}
    assert "late" not in {r.name for r, _ in compare(load(*folders).runs, invalid=True).left_out}


def test_runs_that_lack_their_slowest_requests_are_listed(tmp_path: Path) -> None:
    """Of a window that ends with its requests, what had piled up behind them is no lack."""
    task = {"urgent": MadeTask([1.0] * 9)}
    censored = ("censored, as they were open when the window ended: requests of urgent 8",)
    timed = {"task_set": {"name": "made", "duration_s": 2.0}}
    cut = ("the window was cut at limit_s=2 (urgent 9/30)",)
    folders = [
        write_run(tmp_path / "native", "native", task),
        write_run(tmp_path / "xsched", "xsched", task, notes=censored),
        write_run(tmp_path / "timed", "xsched", task, timed, repeat=1, notes=censored),
        write_run(tmp_path / "cut", "xsched", task, repeat=2, notes=cut, cut=True),
    ]
    left_out = compare(load(*folders).runs).left_out
    assert {run.name: reason for run, reason in left_out} == {"timed": censored[0], "cut": cut[0]}
    assert compare(load(*folders).runs, invalid=True).left_out == []


def test_nothing_to_compare(tmp_path: Path) -> None:
    task = {"urgent": MadeTask([1.0] * 9)}
    native = write_run(tmp_path / "native", "native", task)
    failed = write_run(tmp_path / "bad", "xsched", task, status=Status.FAILED, reason="no level")
    with pytest.raises(UserError, match="nothing to compare with the baseline native"):
        compare(load(native).runs)
    with pytest.raises(UserError, match="bad: FAILED: no level"):
        compare(load(failed).runs)


def test_unknown_names_are_refused_with_a_guess(tmp_path: Path) -> None:
    folder = write_repeats(tmp_path, {"native": times(2), "xsched": times(1)})
    for options, guess in (
        ({"baseline": "nativ"}, "native"),
        ({"primary": "p99_ms/urgnt"}, "p99_ms/urgent"),
        ({"primary": "p98_ms"}, "p99_ms"),
        ({"metrics": ["antd"]}, "antt"),
    ):
        with pytest.raises(UserError, match=f"did you mean: {guess}"):
            compared(folder, **options)
    with pytest.raises(UserError, match="not understood"):
        compared(folder, baseline="native,4")
    with pytest.raises(UserError, match="no run has that figure"):
        compared(folder, primary="slo_attainment/urgent")


# ------------------------------------------------------------------------- arms


def test_an_arm_that_ran_once_has_the_interval_within_the_run(tmp_path: Path) -> None:
    found = compared(write_repeats(tmp_path, {"native": times(20, 1), "xsched": times(10, 1)}))
    native = found.arms[0].value.interval
    assert native is not None
    assert native.high == math.inf
    assert native.low > 15


def test_an_arm_that_ran_again_has_the_interval_over_its_runs(tmp_path: Path) -> None:
    found = compared(write_repeats(tmp_path, {"native": times(20, 4), "xsched": times(10, 4)}))
    assert [(row.arm, row.repeats) for row in found.arms] == [("native", 4), ("xsched", 4)]
    native = found.arms[0].value.interval
    assert native is not None
    assert native.high < 25


def test_arms_and_values_come_in_order_however_they_ran(tmp_path: Path) -> None:
    arms = {"xsched_null": times(1), "xsched 16": times(1), "xsched 4": times(1)}
    values: dict[str, dict[str, str | None]] = {
        "xsched 16": {"threshold": "16"},
        "xsched 4": {"threshold": "4"},
        "xsched_null": {"threshold": None},
        "native": {"threshold": None},
    }
    found = compared(write_repeats(tmp_path, arms | {"native": times(1)}, values))
    assert [(row.arm, row.values["threshold"]) for row in found.arms] == [
        ("native", None),
        ("xsched", "4"),
        ("xsched", "16"),
        ("xsched_null", None),
    ]


# ----------------------------------------------------------------- what is declared beforehand


def declared(folder: Path, primary: str | None) -> Path:
    arms = {"native": times(20, 3), "xsched": times(10, 3)}
    entries = []
    for arm, repeats in arms.items():
        for repeat, response in enumerate(repeats):
            name = f"{arm}-r{repeat}"
            tasks = {"urgent": MadeTask(response, 1), "other": MadeTask([30] * 60, 0)}
            write_run(folder / name, arm, tasks, config={"sweep": {"primary": primary}})
            entries.append({"folder": name, "repeat": repeat, "values": {}})
    return write_sweep(folder, entries)


def test_the_runs_declare_what_decides(tmp_path: Path) -> None:
    folder = declared(tmp_path, "p50_ms/other")
    assert [row.figure for row in compared(folder).primary] == ["p50_ms/other"]
    asked = compared(folder, primary="mean_ms/urgent")
    assert [row.figure for row in asked.primary] == ["mean_ms/urgent"]


def test_without_a_declaration_the_tail_of_the_most_urgent_decides(tmp_path: Path) -> None:
    found = compared(declared(tmp_path, None))
    assert [row.figure for row in found.primary] == ["p99_ms/priority_1"]


def of_task_sets(folder: Path, *runs: tuple[str, str]) -> Path:
    """A sweep with one run of each (task set, arm)."""
    for name, arm in runs:
        config = {"task_set": {"name": name, "tasks": {"urgent": {"priority": 1}}}}
        tasks = {"urgent": MadeTask([10] * 20, 1)}
        write_run(folder / f"{name}-{arm}", arm, tasks, config=config)
    return write_sweep(folder, [{"folder": f"{name}-{arm}", "values": {}} for name, arm in runs])


def test_runs_of_different_task_sets_are_no_comparison(tmp_path: Path) -> None:
    one = of_task_sets(tmp_path / "1", ("one", "native"), ("one", "xsched"))
    two = of_task_sets(tmp_path / "2", ("two", "xsched"))
    with pytest.raises(UserError, match=r"different task sets.*two \(xsched\) beside one"):
        compare(load(one, two).runs)


def test_a_sweep_over_task_sets_compares_within_each(tmp_path: Path) -> None:
    """What one of them has lost does not cost the other its comparison."""
    made = (("one", "native"), ("one", "xsched"), ("two", "xsched"))
    found = compared(of_task_sets(tmp_path, *made))
    assert {row.task_set for row in found.rows} == {"one"}


# ------------------------------------------------------------------------- placements


def test_arms_in_other_placements_are_compared_and_that_is_said(tmp_path: Path) -> None:
    runs = [
        write_run(
            tmp_path / f"{arm}-{repeat}",
            arm,
            {"urgent": MadeTask(np.linspace(0.9, 1.1, 200) * scale, 1)},
            repeat=repeat,
            placement=placement,
            mps=placement == "processes",
        )
        for repeat in range(3)
        for arm, scale, placement in (
            ("native", 20.0, "threads"),
            ("xsched", 10.0, "processes"),
            ("stream_priority", 15.0, "threads"),
        )
    ]
    found = compare(load(*runs).runs)
    assert {row.treatment: row.placements_differ for row in found.rows} == {
        "xsched": True,
        "stream_priority": False,
    }
    [warning] = warnings(found)
    assert warning.startswith(
        "placements differ: native ran in threads, xsched in processes, MPS. What is compared"
    )
    [primary] = [row for row in found.primary if row.treatment == "xsched"]
    assert verdict(primary).endswith("; placements differ")


# ------------------------------------------------------------------------- runs added later


@pytest.mark.parametrize(
    ("added", "hours"), [("2026-03-01T10:20:00", None), ("2026-03-02T12:00:00", 26)]
)
def test_pairs_that_were_measured_hours_apart_are_named(
    tmp_path: Path, added: str, hours: int | None
) -> None:
    folder = write_repeats(tmp_path, {"native": times(20), "xsched": times(10)})
    for run in folder.glob("*-r*"):
        # native, and one repeat of xsched, ran at ten.
        ended = added if run.name in ("xsched-r1", "xsched-r2") else "2026-03-01T10:00:00"
        files.write_json(run / files.PROVENANCE, Provenance(time=f"{ended}+00:00"))
    found = compared(folder)
    said = warnings(found)
    assert len(said) == (hours is not None)
    if hours is not None:
        assert f"measured hours apart from native: xsched {hours} h (the pair furthest" in said[0]
    assert found.primary[0].verdict == verdict(found.primary[0]), "it is said once"


# ------------------------------------------------------------------------- devices

ONE, OTHER = Where("n1", "aaaa", "cuda-GPU-1", "slurm 7_0"), Where("n2", "bbbb", "cuda-GPU-2")


def on_devices(folder: Path, *places: tuple[Where, Where], solo_ms: float = 10.0) -> Path:
    """Repeats of native and xsched, each on its device; solo_ms: of xsched, 10 of native."""
    entries = []
    for repeat, (baseline, treatment) in enumerate(places):
        for arm, where, solo in (("native", baseline, 10.0), ("xsched", treatment, solo_ms)):
            name = f"{arm}-r{repeat}"
            made = {"urgent": MadeTask(times(20)[0], priority=1, solo_ms=solo)}
            write_run(folder / name, arm, made, where=where)
            entries.append({"folder": name, "repeat": repeat, "values": {}})
    return write_sweep(folder, entries)


def test_a_pair_shares_its_device(tmp_path: Path) -> None:
    found = compared(on_devices(tmp_path, (ONE, ONE), (ONE, OTHER), (ONE, ONE), (OTHER, OTHER)))
    assert found.rows[0].repeats == 3
    ((run, reason),) = found.left_out
    assert (run.name, run.repeat) == ("xsched-r1", 1)
    assert reason == "it ran on cuda-GPU-2 of n2, and native-r1 on cuda-GPU-1 of n1"
    assert found.devices == [ONE, OTHER]
    assert any("Repeats ran on 2 devices, each on one" in line for line in warnings(found))


def test_the_job_of_a_queue_makes_no_other_device(tmp_path: Path) -> None:
    later = Where("n1", "aaaa", "cuda-GPU-1", "slurm 8_0")
    assert compared(on_devices(tmp_path, (ONE, later))).devices == [later]


@pytest.mark.parametrize(
    "config",
    [
        {"arrival": {"process": "closed"}},
        {"arrival": {"process": "poisson", "rate_rps": 25}},
        {"arrival": {"process": "jitter", "load": 0.2}, "model": {"batch_size": None}},
    ],
    ids=["a closed loop", "a rate", "two models"],
)
def test_a_solo_time_that_makes_no_load_is_all_the_same(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    folders = []
    for number, arm in enumerate(("native", "xsched")):
        own = {**config, "model": {"batch_size": number}} if "model" in config else config
        task = {"urgent": MadeTask(np.linspace(0.9, 1.1, 200), 1, solo_ms=10 + number)}
        folders.append(write_run(tmp_path / arm, arm, task, own, where=ONE))
    native, xsched = load(*folders).runs
    assert apart(native, xsched) == ""


def test_a_tasks_own_load_goes_before_a_rate_of_all(tmp_path: Path) -> None:
    config = {"arrival": {"process": "poisson", "rate_rps": 25}}
    native, xsched = load(
        *(
            write_run(
                tmp_path / arm,
                arm,
                {
                    "urgent": MadeTask(
                        np.linspace(0.9, 1.1, 200),
                        1,
                        solo_ms=solo_ms,
                        configured={"arrival": {"load": 0.3}},
                    )
                },
                config,
                where=ONE,
            )
            for arm, solo_ms in (("native", 10.0), ("xsched", 11.0))
        )
    ).runs
    assert "another solo time" in apart(native, xsched)


def test_a_pair_has_one_load(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        compared(on_devices(tmp_path, (ONE, ONE), (ONE, ONE), solo_ms=10.5))
    assert "nothing is a pair with native" in str(error.value)
    assert "xsched-r0: its load follows from another solo time than that of native-r0" in str(
        error.value
    )


def test_repeats_of_unlike_devices_are_not_combined(tmp_path: Path) -> None:
    folder = on_devices(tmp_path, (ONE, ONE), (OTHER, OTHER))
    for run in load(folder):
        name = "H100" if run.repeat == 0 else "H200"
        gpu = GpuInfo("nvidia", 0, name, "", "", "", (9, 0), "sm_90", None)
        origin = Provenance(time="2026-01-01T00:00:00+00:00", device=DeviceOrigin(gpu=gpu))
        files.write_json(run.folder / files.PROVENANCE, origin)
    with pytest.raises(UserError, match="repeats of unlike devices are not combined: H100, H200"):
        compared(folder)
