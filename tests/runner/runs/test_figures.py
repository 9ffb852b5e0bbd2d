import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ModelSpec
from runner.config.arrivals import schedule
from runner.config.resolve import resolve
from runner.config.schema import ArrivalOverride, Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.metrics import METRICS
from runner.metrics.names import name_of
from runner.metrics.requests import TaskRequests
from runner.proof.checks import Proof, Suspension
from runner.runs import files
from runner.runs.figures import RunFigures, figures
from runner.runs.load import load
from runner.runs.record import Figure, TaskSummary
from runner.runs.summary import summarise
from runner.trial.measured import read
from runner.trial.recording import Recording
from runner.trial.run import TrialResult
from runner.trial.status import Status
from tests.runner.run_folders import keep
from xsched_bindings.types import PreemptLevel

MS = 1_000_000


def found(
    spec: TrialSpec, requests: list[TaskRequests], solo: dict[ModelSpec, float] | None = None
) -> RunFigures:
    """The figures of a trial that left these requests."""
    return figures(spec, TrialResult(Status.FINISHED, "", requests, solo or {}))


def trial(arm: str = "native", requests: int = 2, **priorities: int) -> TrialSpec:
    config = Config()
    config.arm.name = arm
    config.task_set.requests, config.task_set.lead_in_s = requests, 0
    config.task_set.tasks = {n: TaskConfig(priority=p) for n, p in priorities.items()}
    return resolve(config)


def record(
    rows: dict[int, list[tuple[int, int, int]]], start_ns: int = 1000 * MS, lead_in_ms: int = 0
) -> Recording:
    """Rows in milliseconds after the window's beginning; a warm-up request before the lead-in."""
    recording = Recording.create(len(rows), capacity=100)
    for task, times in rows.items():
        writer = recording.writer(task)
        alone_ns = start_ns - (lead_in_ms + 9) * MS
        writer.record(alone_ns, alone_ns, alone_ns + 4 * MS)
        writer.start(start_ns)
        for row in times:
            writer.record(*(start_ns + t * MS for t in row))
    return recording


def test_a_run_by_hand() -> None:
    """Two tasks, two requests each; task a keeps its load up with a third while b works on."""
    spec = trial(a=2, b=1)
    recording = record(
        {0: [(0, 0, 10), (20, 20, 40), (50, 50, 70)], 1: [(0, 5, 60), (60, 60, 100)]}
    )
    requests = read(spec, recording)
    run = found(spec, requests, {spec.tasks[0].model: 0.01})
    a, b = run.tasks["a"], run.tasks["b"]
    value = {name: figure.value for name, figure in run.figures.items()}
    assert run.window_s == pytest.approx(0.1)
    assert (a.requests, a.wanted, a.extra, b.extra) == (2, 2, 1, 0)
    assert (a.priority, b.priority) == (2, 1)
    assert a.window_s == pytest.approx(0.1)
    expected = dict.fromkeys(LATENCIES, 20) | {"p50": 10, "mean": 15}
    assert {name: value[f"{name}_ms/a"] for name in LATENCIES} == expected
    assert value["throughput_rps/a"] == pytest.approx(30), "extra requests count for throughput"
    assert value["max_ms/b"] == 60
    assert value["service_max_ms/b"] == 55
    assert value["stp"] == pytest.approx(10 / 15 + 10 / 50)
    assert b.late_starts == 1, "b began 5 ms after its arrival with nothing in the way"
    assert a.solo_ms == 10
    assert requests[0].warmup.tolist() == [[-9 * MS, -9 * MS, -5 * MS]]
    assert [task.start_ns for task in requests] == [1000 * MS] * 2
    assert [task.lead_in for task in requests] == [0, 0]


def led_in(spec: TrialSpec, lead_in_ms: int) -> TrialSpec:
    return dataclasses.replace(spec, lead_in_s=lead_in_ms / 1e3)


@pytest.mark.parametrize("slow", [1, 11, 19])
def test_no_figure_knows_of_the_lead_in(slow: int) -> None:
    """However slow its requests are; the first that counts even waits for one of them."""
    spec = led_in(open_loop(rate_rps=100.0), 30)
    lead_in = {0: [(-30, -30, -30 + slow), (-20, -10, -10 + slow)], 1: [(-30, -30, 0)]}
    window = {0: [(3, 10, 20), (13, 20, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    rows = {task: lead_in[task] + window[task] for task in window}
    requests = read(spec, record(rows, lead_in_ms=30))
    assert [(task.lead_in, len(task.warmup)) for task in requests] == [(2, 3), (1, 2)]
    without = [dataclasses.replace(task, warmup=task.warmup[:0]) for task in requests]
    run = found(spec, requests)
    assert run.figures == found(spec, without).figures
    assert run.figures["max_ms/a"].value == 17
    assert run.window_s == pytest.approx(0.095)
    late = [task.late_starts for task in requests]
    assert late == [0 if slow == 19 else 1, 0], "it waited for its own request, or for nothing"


def test_what_is_offered_is_what_arrives_after_the_lead_in() -> None:
    """An arrival each 10 ms, in the window as before it."""
    spec = open_loop(rate_rps=100.0)
    rows = {0: [(0, 0, 5), (10, 10, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    expected = found(spec, read(spec, record(rows))).tasks["a"]
    for lead_in_ms in (30, 1000):
        later = led_in(spec, lead_in_ms)
        run = found(later, read(later, record(rows, lead_in_ms=lead_in_ms)))
        assert rates(run.tasks["a"]) == rates(expected)


@pytest.mark.parametrize("left", [0, 5, 9])
def test_a_closed_loop_is_not_idle_while_it_ends_its_lead_in(left: int) -> None:
    """Requests of 10 ms: 100 a second, wherever among them the window begins."""
    spec = led_in(trial(requests=3, a=1), 20)
    before = [(at, at, at + 10) for at in (left - 20, left - 10)]
    rows = {0: before + [(at, at, at + 10) for at in range(left, left + 30, 10)]}
    throughput = found(spec, read(spec, record(rows, lead_in_ms=20))).figures["throughput_rps/a"]
    assert throughput.value == pytest.approx(100)
    assert throughput.interval == pytest.approx((100, 100))


def test_a_duration_counts_from_the_end_of_the_lead_in() -> None:
    spec = dataclasses.replace(led_in(trial(a=1), 20), duration_s=0.03)
    rows = [(-20, -20, -2), (-2, -2, 8), (8, 8, 20), (20, 20, 30), (30, 30, 41)]
    (task,) = read(spec, record({0: rows}, lead_in_ms=20))
    assert (task.lead_in, task.wanted) == (2, 2)
    assert found(spec, [task]).window_s == pytest.approx(0.03)


LATENCIES = ("p50", "p90", "p95", "p99", "p99.9", "mean", "max")


def closed_loop(
    task: str, priority: int, service_ms: list[float], first_ms: float = 0.0
) -> TaskRequests:
    first = int(first_ms * MS)
    ends = first + np.cumsum(np.array(service_ms) * MS).astype(np.int64)
    starts = np.concatenate([[first], ends[:-1]])
    return TaskRequests(task, priority, len(ends), starts, starts, ends, np.zeros((0, 3), np.int64))


def test_every_figure_has_its_interval_beside_it() -> None:
    """A thousand requests: p99 has an upper end; p99.9 and the maximum have none."""
    drawn = np.random.default_rng(3).permutation(np.arange(1.0, 1001.0)).tolist()
    run = found(trial(requests=1000, a=1), [closed_loop("a", 1, drawn)]).figures
    for prefix in ("", "service_"):
        intervals = {name: run[f"{prefix}{name}_ms/a"].interval for name in LATENCIES}
        assert intervals["p99"] == (983, 997)
        for name, interval in intervals.items():
            assert interval is not None
            low, high = interval
            assert low is not None
            assert low <= run[f"{prefix}{name}_ms/a"].value <= (math.inf if high is None else high)
            assert (high is None) == (name in ("p99.9", "max"))
    throughput = run["throughput_rps/a"]
    assert throughput.interval is not None
    low, high = throughput.interval
    assert low is not None
    assert high is not None
    assert low < throughput.value < high
    of_task = {name.removesuffix("/a"): each for name, each in run.items() if name.endswith("/a")}
    of_priority = {
        name.removesuffix("/priority_1"): each
        for name, each in run.items()
        if name.endswith("/priority_1")
    }
    assert of_priority == of_task, "alone in its priority"
    assert {"p99_ms", "service_p50_ms", "throughput_rps"} <= of_priority.keys()


def test_one_request_has_no_interval_where_it_cannot() -> None:
    run = found(trial(requests=1, a=1), [closed_loop("a", 1, [10.0])]).figures
    assert (run["mean_ms/a"].interval, run["throughput_rps/a"].interval) == (None, None)
    assert run["p50_ms/a"].interval == (None, None)


def swept_config(arm: str) -> Config:
    """Tasks that have everything that a metric can be computed from."""
    config = Config()
    config.arm.name = arm
    config.platform.name, config.platform.placement = "host", "threads"
    config.task_set.requests = 50
    for name, priority, share in (("a", 2, 50), ("b", 1, 30), ("c", 1, 20)):
        config.task_set.tasks[name] = TaskConfig(
            priority=priority, utilization=share, deadline_us=9000
        )
    return config


@pytest.mark.parametrize("later_ms", [0.0, 4.5])
@pytest.mark.parametrize("arm", ["native", "xsched", "solo"])
def test_the_summary_and_the_run_that_is_read_back_say_the_same(
    arm: str, later_ms: float, tmp_path: Path
) -> None:
    """Every metric about every scope: one from memory, one from the folder. later_ms: when the
    loops are done with the lead-in."""
    random = np.random.default_rng(5)
    config = swept_config(arm)
    spec = resolve(config)
    requests = [
        closed_loop(task.name, task.priority, random.exponential(10.0, 50).tolist(), later_ms)
        for task in spec.tasks
    ]
    probes = [
        Suspension(name, PreemptLevel.block, 4, 3, 9, True, True, float(ms))
        for name, ms in itertools.product("abc", range(1, 31))
    ]
    result = TrialResult(
        Status.FINISHED,
        "",
        requests,
        {spec.tasks[0].model: 0.004},
        Proof(suspensions=tuple(probes)),
        saturation=0.875,
        preemptions=7,
        against_policy=0.125,
        stolen=0.0625,
        pace_us=210.5,
    )
    files.write_config(tmp_path, config, spec)
    keep(tmp_path, summarise(spec, result, "one"), result.proof, requests)
    (run,) = load(tmp_path)
    computed = {
        name_of(metric, scope): Figure.of(figure)
        for scope in run.measured.scopes()
        for metric in METRICS.values()
        if metric.of_all == scope.of_all and (figure := metric.of(run.measured, scope))
    }
    assert computed == run.summary.figures
    of_tasks = {tag for tag, metric in METRICS.items() if not metric.of_all}
    of_all = set(METRICS) - of_tasks
    known = {name.partition("/")[0] for name in computed}
    assert known == (of_tasks - {"share"} if arm == "solo" else of_tasks | of_all)


def test_priorities_pool_their_tasks() -> None:
    spec = trial(requests=1, a=3, b=3, c=1)
    recording = record({0: [(0, 0, 10)], 1: [(0, 0, 30)], 2: [(0, 0, 50)]})
    run = found(spec, read(spec, recording)).figures
    scopes = list(dict.fromkeys(name.partition("/")[2] for name in run if "/" in name))
    assert scopes == ["priority_3", "priority_1", "a", "b", "c"]
    assert run["p50_ms/priority_3"].value == 10
    assert run["max_ms/priority_3"].value == 30


def test_an_arm_that_leaves_tasks_out_says_nothing_about_them() -> None:
    spec = trial("urgent_only", requests=1, a=3, b=1)
    run = found(spec, read(spec, record({0: [(0, 0, 10)], 1: []})))
    assert list(run.tasks) == ["a"]
    assert {n.partition("/")[2] for n in run.figures} == {"priority_3", "a", ""}


def test_solo_windows_follow_each_other() -> None:
    spec = trial("solo", requests=1, a=3, b=1)
    run = found(spec, read(spec, record({0: [(0, 0, 10)], 1: [(0, 0, 30)]})))
    assert run.window_s == pytest.approx(0.04)
    assert [task.window_s for task in run.tasks.values()] == pytest.approx([0.01, 0.03])
    assert not [name for name in run.figures if "/" not in name], "there is no all together"


def test_a_trial_that_died_while_warming_up() -> None:
    spec = trial(a=1)
    recording = Recording.create(1, capacity=4)
    recording.writer(0).record(5, 6, 7)
    (requests,) = read(spec, recording)
    assert len(requests.completed) == 0
    assert (len(requests.warmup), requests.lead_in) == (1, 0)
    (later,) = read(led_in(spec, 10), recording)
    assert (len(later.warmup), later.lead_in) == (1, 0), "that one was no more of the lead-in"
    run = found(spec, [requests])
    assert (run.tasks["a"].requests, run.tasks["a"].wanted) == (0, 2)
    assert not [name for name in run.figures if "/" in name]
    assert run.window_s == 0


def test_late_starts_count_from_the_end_of_the_request_before() -> None:
    times = np.array([[0, 0, 10], [1, 10, 20], [2, 22, 30]]) * MS
    task = TaskRequests("t", 0, 3, times[:, 0], times[:, 1], times[:, 2], times[:0])
    assert task.late_starts == 1


def open_loop(keep_load: bool = True, requests: int = 2, **own: float) -> TrialSpec:
    """A periodic task a (10 ms, phase by the seed) beside a closed loop b."""
    config = Config()
    config.task_set.requests, config.task_set.keep_load = requests, keep_load
    config.task_set.lead_in_s = 0
    config.task_set.tasks = {
        "a": TaskConfig(arrival=ArrivalOverride("periodic", **own)),  # type: ignore[arg-type]
        "b": TaskConfig(),
    }
    return resolve(config)


def phase(spec: TrialSpec) -> int:
    """When a's first request arrives, in whole milliseconds after the start, rounded up."""
    first = next(schedule(spec.tasks[0], 0.001, spec.seed) or iter([0]))
    return -(-first // MS)


def test_requests_that_had_arrived_and_were_not_done_are_open() -> None:
    """a: an arrival each 10 ms for 95 ms, two completed; b works until then and is cut off."""
    spec = open_loop(rate_rps=100.0)
    first = phase(spec)
    rows = {
        0: [(first, first, first + 5), (first + 10, first + 10, 50)],
        1: [(0, 0, 60), (60, 60, 95)],
    }
    run = found(spec, read(spec, record(rows)))
    a, b = run.tasks["a"], run.tasks["b"]
    arrived = 9 + (first <= 5)
    assert (a.open, b.open) == (arrived - 2, 0)
    assert a.offered_rps == pytest.approx(arrived / 0.095)
    assert a.achieved_rps == pytest.approx(2 / 0.095)
    assert run.figures["throughput_rps/a"].value == pytest.approx(2 / 0.095)
    assert (b.offered_rps, b.achieved_rps) == (None, None)


def test_a_load_offers_the_same_as_the_rate_that_it_comes_to() -> None:
    rows = {0: [(0, 0, 5), (10, 10, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    by_rate, by_load = open_loop(rate_rps=100.0), open_loop(load=0.1)
    expected = found(by_rate, read(by_rate, record(rows))).tasks["a"]
    solo = {by_load.tasks[0].model: 0.001}
    same = found(by_load, read(by_load, record(rows)), solo).tasks["a"]
    assert rates(same) == rates(expected)
    unknown = found(by_load, read(by_load, record(rows))).tasks["a"]
    assert rates(unknown) == (None, expected.achieved_rps, None)


def rates(task: TaskSummary) -> tuple[float | None, float | None, int | None]:
    return task.offered_rps, task.achieved_rps, task.open


def test_a_task_that_stops_when_it_is_done_is_offered_no_more() -> None:
    spec = open_loop(keep_load=False, rate_rps=100.0)
    rows = {0: [(0, 0, 15), (10, 15, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    a = found(spec, read(spec, record(rows))).tasks["a"]
    assert a.open == 0
    assert a.offered_rps == a.achieved_rps


def test_a_closed_loops_request_in_flight_is_open() -> None:
    spec = trial(a=2, b=1)
    rows = {0: [(0, 0, 10), (10, 10, 20), (20, 20, 70)], 1: [(0, 0, 30), (30, 30, 60)]}
    tasks = found(spec, read(spec, record(rows))).tasks
    assert (tasks["a"].open, tasks["b"].open) == (1, 0)


@given(st.integers(1, 10**12))
def test_the_last_completion_is_within_the_window_to_the_nanosecond(end_ns: int) -> None:
    spec = trial(requests=1, a=1)
    times = np.array([[0, 0, end_ns]])
    task = TaskRequests("a", 1, 1, times[:, 0], times[:, 1], times[:, 2], times[:0])
    run = found(spec, [task])
    assert run.figures["throughput_rps/a"].value == pytest.approx(1e9 / end_ns)
    assert run.tasks["a"].open == 0


def test_a_trial_that_never_began_has_no_rates() -> None:
    spec = open_loop(rate_rps=100.0)
    a = found(spec, read(spec, record({0: [], 1: []}))).tasks["a"]
    assert rates(a) == (None, None, None)


def test_unknown_solo_times_are_none_and_so_is_what_needs_them() -> None:
    spec = trial(requests=1, a=1)
    run = found(spec, read(spec, record({0: [(0, 0, 10)]})), {ModelSpec("gpt2"): 1.0})
    assert run.tasks["a"].solo_ms is None
    assert not {"stp", "antt", "slowdown_p50/a", "share/a"} & run.figures.keys()


def test_what_was_counted_of_the_whole_is_a_figure_where_it_is_known() -> None:
    spec = trial(requests=1, a=1)
    requests = read(spec, record({0: [(0, 0, 10)]}))
    known = TrialResult(Status.FINISHED, "", requests, {}, saturation=0.5, preemptions=0)
    known.against_policy, known.pace_us = 0.25, 210.5
    names = ("preemptions", "against_policy", "saturation", "stolen", "pace_us")
    values = figures(spec, known).figures
    assert [values[name].value for name in names] == [0, 0.25, 0.5, 0, 210.5]
    assert {values[name].interval for name in names} == {None}
    assert set(names) & found(spec, requests).figures.keys() == {"stolen"}


def test_the_level_s_probes_are_figures_if_they_are_many() -> None:
    spec = trial(requests=1, a=1)
    requests = read(spec, record({0: [(0, 0, 10)]}))
    for count, known in ((19, False), (20, True)):
        probe = Suspension("a", PreemptLevel.block, 4, 3, 9, True, True, 2.5)
        proof = Proof(suspensions=(probe,) * count)
        result = TrialResult(Status.FINISHED, "", requests, {}, proof)
        assert ("preemption_p50_ms/a" in figures(spec, result).figures) == known


def test_a_task_that_starved_has_no_part_in_a_figure_and_is_named() -> None:
    """Its window ends by time, so it lacks nothing that was asked for."""
    spec = dataclasses.replace(trial(a=2, b=1), duration_s=0.06)
    rows = {0: [(0, 0, 30), (30, 30, 60)], 1: [(0, 0, 90)]}
    requests = read(spec, record(rows))
    known = {task.model: 0.01 for task in spec.tasks}
    made = found(spec, requests, known)
    assert "p50_ms/a" in made.figures
    assert not {"jain", "antt", "p50_ms/system", "p50_ms/b"} & made.figures.keys()
    said = summarise(spec, TrialResult(Status.FINISHED, "", requests, known), "made").notes
    assert "censored: b completed no request in the window" in said
