import math

import numpy as np
import pytest

from models import ModelSpec
from runner.config import Config, TaskConfig
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


def test_unknown_solo_times_are_not_a_number() -> None:
    spec = trial(requests=1, a=1)
    summary = summarise(spec, read(spec, record({0: [(0, 0, 10)]})), {ModelSpec("gpt2"): 1.0})
    assert math.isnan(summary["tasks"]["a"]["solo_ms"])
