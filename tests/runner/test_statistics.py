import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ModelSpec
from runner.arrivals import schedule
from runner.config import ArrivalOverride, Config, TaskConfig
from runner.recording import Recording
from runner.resolve import resolve
from runner.spec import TrialSpec
from runner.statistics import TaskRequests, percentile, read, summarise

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


def test_a_percentile_is_a_measured_value() -> None:
    values = np.arange(1.0, 101.0)
    assert [percentile(values, p) for p in (50, 90, 99, 100)] == [50, 90, 99, 100]
    assert percentile(np.array([3.0]), 99) == 3.0


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
    assert a["latency_ms"] == {"p50": 10, "p90": 20, "p99": 20, "mean": 15, "max": 20}
    assert a["throughput_rps"] == pytest.approx(30), "extra requests count for throughput"
    assert b["latency_ms"]["max"] == 60
    assert b["service_ms"]["max"] == 55
    assert b["late_starts"] == 1, "b began 5 ms after its arrival with nothing in the way"
    assert a["solo_ms"] == 10
    assert requests[0].warmup.tolist() == [[-9 * MS, -9 * MS, -5 * MS]]


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
    assert a["achieved_rps"] == a["throughput_rps"] == pytest.approx(2 / 0.095)
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
