import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runner.runs.statistics import summarise

from models import ModelSpec
from runner.config.arrivals import schedule
from runner.config.resolve import resolve
from runner.config.schema import ArrivalOverride, Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.metrics import METRICS
from runner.metrics.requests import TaskRequests
from runner.results.points import Measured
from runner.runs.files import write_json, write_requests
from runner.runs.load import load
from runner.trial.measured import read
from runner.trial.recording import Recording

MS = 1_000_000


def trial(arm: str = "native", requests: int = 2, **priorities: int) -> TrialSpec:
    config = Config()
    config.arm.name = arm
    config.task_set.requests = requests
    config.task_set.tasks = {n: TaskConfig(priority=p) for n, p in priorities.items()}
    return resolve(config)


def record(rows: dict[int, list[tuple[int, int, int]]], start_ns: int = 1000 * MS) -> Recording:
    """Rows in milliseconds after the start; one warm-up request before them."""
    recording = Recording.create(len(rows), capacity=100)
    for task, times in rows.items():
        writer = recording.writer(task)
        writer.record(start_ns - 9 * MS, start_ns - 9 * MS, start_ns - 5 * MS)
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
    summary = summarise(spec, requests, {spec.tasks[0].model: 0.01})
    a, b = summary["tasks"]["a"], summary["tasks"]["b"]
    assert summary["window_s"] == pytest.approx(0.1)
    assert (a["requests"], a["extra"], b["extra"]) == (2, 1, 0)
    assert a["latency_ms"] == dict.fromkeys(FIGURES, 20) | {"p50": 10, "mean": 15}
    assert a["throughput_rps"] == pytest.approx(30), "extra requests count for throughput"
    assert b["latency_ms"]["max"] == 60
    assert b["service_ms"]["max"] == 55
    assert b["late_starts"] == 1, "b began 5 ms after its arrival with nothing in the way"
    assert a["solo_ms"] == 10
    assert requests[0].warmup.tolist() == [[-9 * MS, -9 * MS, -5 * MS]]
    assert [task.start_ns for task in requests] == [1000 * MS] * 2


FIGURES = ("p50", "p90", "p95", "p99", "p99.9", "mean", "max")


def closed_loop(task: str, priority: int, service_ms: list[float]) -> TaskRequests:
    ends = np.cumsum(np.array(service_ms) * MS).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    return TaskRequests(task, priority, len(ends), starts, starts, ends, np.zeros((0, 3), np.int64))


def test_every_figure_has_its_interval_beside_it() -> None:
    """A thousand requests: p99 has an upper end; p99.9 and the maximum have none."""
    drawn = np.random.default_rng(3).permutation(np.arange(1.0, 1001.0)).tolist()
    spec = trial(requests=1000, a=1)
    found = summarise(spec, [closed_loop("a", 1, drawn)], {})
    a = found["tasks"]["a"]
    for kind in ("latency", "service"):
        values, intervals = a[f"{kind}_ms"], a[f"{kind}_interval_ms"]
        assert (*values,) == (*intervals,) == FIGURES
        assert all(low <= values[name] <= high for name, (low, high) in intervals.items())
        assert intervals["p99"] == [983, 997]
        assert [name for name, (_, high) in intervals.items() if high == math.inf] == [
            "p99.9",
            "max",
        ]
    low, high = a["throughput_interval_rps"]
    assert low < a["throughput_rps"] < high
    assert found["priorities"]["1"].items() <= a.items(), "alone in its priority"
    assert {"latency_ms", "service_ms", "throughput_rps"} <= found["priorities"]["1"].keys()


def test_one_request_has_no_interval_where_it_cannot() -> None:
    a = summarise(trial(requests=1, a=1), [closed_loop("a", 1, [10.0])], {})["tasks"]["a"]
    assert (a["latency_interval_ms"]["mean"], a["throughput_interval_rps"]) == (None, None)
    assert a["latency_interval_ms"]["p50"] == [-math.inf, math.inf]


@pytest.mark.parametrize("arm", ["native", "solo"])
def test_the_summary_and_a_comparison_say_the_same(arm: str, tmp_path: Path) -> None:
    """Both from the same requests: one from memory, one from the folder."""
    random = np.random.default_rng(5)
    spec = trial(arm, requests=50, a=2, b=1, c=1)
    requests = [
        closed_loop(task.name, task.priority, random.exponential(10.0, 50).tolist())
        for task in spec.tasks
    ]
    solo = {spec.tasks[0].model: 0.004}
    summary = {"arm": arm, "status": "FINISHED"} | summarise(spec, requests, solo)
    write_json(tmp_path / "summary.json", summary)
    write_requests(tmp_path / "requests.parquet", requests)
    (record,) = load([tmp_path])
    run = Measured(record)
    for scope in run.scopes():
        group, _, name = scope.key.partition("_")
        known = summary["priorities"][name] if group == "priority" else summary["tasks"].get(group)
        for tag, value, ends in figures(known or {}):
            found = run.figure(METRICS[tag], scope)
            assert found is not None
            assert value == found.value
            assert ends == (found.interval and [found.interval.low, found.interval.high])


def figures(known: dict[str, Any]) -> Iterator[tuple[str, float, list[float]]]:
    """(tag of the metric, value, ends of the interval) of a task or a priority in a summary."""
    for kind, prefix in (("latency", ""), ("service", "service_")):
        for name, value in known.get(f"{kind}_ms", {}).items():
            yield f"{prefix}{name}_ms", value, known[f"{kind}_interval_ms"][name]
    if known:
        yield "throughput_rps", known["throughput_rps"], known["throughput_interval_rps"]


def test_priorities_pool_their_tasks() -> None:
    spec = trial(requests=1, a=3, b=3, c=1)
    recording = record({0: [(0, 0, 10)], 1: [(0, 0, 30)], 2: [(0, 0, 50)]})
    priorities = summarise(spec, read(spec, recording), {})["priorities"]
    assert list(priorities) == ["3", "1"]
    assert priorities["3"]["latency_ms"]["p50"] == 10
    assert priorities["3"]["latency_ms"]["max"] == 30


def test_an_arm_that_leaves_tasks_out_says_nothing_about_them() -> None:
    spec = trial("urgent_only", requests=1, a=3, b=1)
    summary = summarise(spec, read(spec, record({0: [(0, 0, 10)], 1: []})), {})
    assert list(summary["tasks"]) == ["a"]
    assert list(summary["priorities"]) == ["3"]


def test_solo_windows_follow_each_other() -> None:
    spec = trial("solo", requests=1, a=3, b=1)
    summary = summarise(spec, read(spec, record({0: [(0, 0, 10)], 1: [(0, 0, 30)]})), {})
    assert summary["window_s"] == pytest.approx(0.04)


def test_a_trial_that_died_while_warming_up() -> None:
    spec = trial(a=1)
    recording = Recording.create(1, capacity=4)
    recording.writer(0).record(5, 6, 7)
    (requests,) = read(spec, recording)
    assert len(requests.completed) == 0
    assert len(requests.warmup) == 1
    summary = summarise(spec, [requests], {})
    assert summary["tasks"]["a"]["latency_ms"] == {}
    assert summary["window_s"] == 0


def test_late_starts_count_from_the_end_of_the_request_before() -> None:
    times = np.array([[0, 0, 10], [1, 10, 20], [2, 22, 30]]) * MS
    task = TaskRequests("t", 0, 3, times[:, 0], times[:, 1], times[:, 2], times[:0])
    assert task.late_starts == 1


def open_loop(keep_load: bool = True, requests: int = 2, **own: float) -> TrialSpec:
    """A periodic task a (10 ms, phase by the seed) beside a closed loop b."""
    config = Config()
    config.task_set.requests, config.task_set.keep_load = requests, keep_load
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
    summary = summarise(spec, read(spec, record(rows)), {})
    a, b = summary["tasks"]["a"], summary["tasks"]["b"]
    arrived = 9 + (first <= 5)
    assert (a["open"], b["open"]) == (arrived - 2, 0)
    assert a["offered_rps"] == pytest.approx(arrived / 0.095)
    assert a["achieved_rps"] == pytest.approx(2 / 0.095)
    assert a["throughput_rps"] == pytest.approx(2 / 0.095)
    assert (b["offered_rps"], b["achieved_rps"]) == (None, None)


def test_a_load_offers_the_same_as_the_rate_that_it_comes_to() -> None:
    rows = {0: [(0, 0, 5), (10, 10, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    by_rate, by_load = open_loop(rate_rps=100.0), open_loop(load=0.1)
    expected = summarise(by_rate, read(by_rate, record(rows)), {})["tasks"]["a"]
    solo = {by_load.tasks[0].model: 0.001}
    found = summarise(by_load, read(by_load, record(rows)), solo)["tasks"]["a"]
    assert [found[key] for key in KEYS] == [expected[key] for key in KEYS]
    unknown = summarise(by_load, read(by_load, record(rows)), {})["tasks"]["a"]
    assert [unknown[key] for key in KEYS] == [None, expected["achieved_rps"], None]


KEYS = ("offered_rps", "achieved_rps", "open")


def test_a_task_that_stops_when_it_is_done_is_offered_no_more() -> None:
    spec = open_loop(keep_load=False, rate_rps=100.0)
    rows = {0: [(0, 0, 15), (10, 15, 30)], 1: [(0, 0, 60), (60, 60, 95)]}
    a = summarise(spec, read(spec, record(rows)), {})["tasks"]["a"]
    assert a["open"] == 0
    assert a["offered_rps"] == a["achieved_rps"]


def test_a_closed_loops_request_in_flight_is_open() -> None:
    spec = trial(a=2, b=1)
    rows = {0: [(0, 0, 10), (10, 10, 20), (20, 20, 70)], 1: [(0, 0, 30), (30, 30, 60)]}
    tasks = summarise(spec, read(spec, record(rows)), {})["tasks"]
    assert (tasks["a"]["open"], tasks["b"]["open"]) == (1, 0)


@given(st.integers(1, 10**12))
def test_the_last_completion_is_within_the_window_to_the_nanosecond(end_ns: int) -> None:
    spec = trial(requests=1, a=1)
    times = np.array([[0, 0, end_ns]])
    task = TaskRequests("a", 1, 1, times[:, 0], times[:, 1], times[:, 2], times[:0])
    a = summarise(spec, [task], {})["tasks"]["a"]
    assert a["throughput_rps"] == pytest.approx(1e9 / end_ns)
    assert a["open"] == 0


def test_a_trial_that_never_began_has_no_rates() -> None:
    spec = open_loop(rate_rps=100.0)
    a = summarise(spec, read(spec, record({0: [], 1: []})), {})["tasks"]["a"]
    assert [a[key] for key in KEYS] == [None, None, None]


def test_unknown_solo_times_are_not_a_number() -> None:
    spec = trial(requests=1, a=1)
    summary = summarise(spec, read(spec, record({0: [(0, 0, 10)]})), {ModelSpec("gpt2"): 1.0})
    assert math.isnan(summary["tasks"]["a"]["solo_ms"])
