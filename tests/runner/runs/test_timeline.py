import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

from runner.metrics.requests import TaskRequests
from runner.proof.marks import Marks
from runner.results.drawings.timelines import timeline, timelines
from runner.runs import files
from runner.runs.files import START_NS
from runner.runs.record import Summary, TaskSummary
from runner.runs.run import Run, read_run
from runner.runs.timeline import (
    MARKS_SHOWN,
    MOST_EVENTS,
    Mark,
    SchedulerEvent,
    Suspension,
    Timeline,
    build,
    read,
    readable_ns,
    trace,
    write_trace,
)
from runner.trial.status import Status
from tests.runner.run_folders import keep, seal

START = 5_000_000_000_000
MS = 1_000_000


def requests(
    times_ms: dict[str, list[tuple[float, float, float]]], starts: dict[str, int] | None = None
) -> pa.Table:
    """Per task (scheduled, started, completed) in milliseconds, each after one warm-up request;
    starts: where not all tasks start at `START`."""
    rows: list[dict[str, Any]] = []
    for task, times in times_ms.items():
        for number, each in enumerate([(-9, -9, -5), *times], start=-1):
            named = zip(("scheduled_ns", "started_ns", "completed_ns"), each, strict=True)
            at = {name: int(value * MS) for name, value in named}
            row = {"task": task, "request": number, "warmup": number < 0, "extra": number > 2}
            row["lead_in"] = False
            rows.append(row | at)
    recorded = json.dumps(dict.fromkeys(times_ms, START) | (starts or {}))
    return pa.Table.from_pylist(rows, files.REQUEST_ROWS).replace_schema_metadata(
        {START_NS: recorded}
    )


def no_priority(name: str) -> int:
    return 0


def events(*lines: tuple[float, str, str, int]) -> pa.Table:
    """(milliseconds after the start, event, task, completed)."""
    names = ("at_ns", "event", "task", "completed")
    return pa.Table.from_pylist(
        [dict(zip(names, (START + int(at * MS), *rest), strict=True)) for at, *rest in lines]
    )


def marks(parts: int = 4) -> pa.Table:
    """Of the two tasks below: low's second request stands still from 15 to 24 ms."""
    at_ms = {"low": [2.5, 5, 7.5, 10, 12, 15, 24, 30], "high": [14, 16, 18, 20]}
    return files.mark_table(
        [
            Marks(task, parts, 8, START + (np.array(times) * MS).astype(np.int64), np.zeros(0))
            for task, times in at_ms.items()
        ],
        dict.fromkeys(at_ms, 0),
    )


TWO_TASKS = requests({"low": [(0, 0, 10), (10, 10, 30)], "high": [(12, 12.5, 20)]})
PREEMPTED = events(
    (0.02, "ready", "low", 0),
    (10, "idle", "low", 4),
    (10.05, "ready", "low", 4),
    (12.6, "ready", "high", 0),
    (13, "suspend", "low", 6),
    (20, "resume", "low", 8),
    (20, "idle", "high", 3),
)
PRIORITIES = {"low": 0, "high": 2}
QUARTERS = [0.25, 0.5, 0.75, 1.0]


@pytest.fixture
def preempted() -> Timeline:
    return build(TWO_TASKS, None, PREEMPTED, PRIORITIES.__getitem__)


def of_phase(content: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in content["traceEvents"] if event["ph"] == phase]


def test_the_scheduler_s_log_is_placed_by_the_recorded_start(preempted: Timeline) -> None:
    high, low = preempted.tasks
    assert (high.name, low.name) == ("high", "low")
    assert low.suspensions == [Suspension(13 * MS, 20 * MS, 2)]
    assert low.events[0].at_ns == int(0.02 * MS)
    assert high.suspensions == []


def test_tasks_of_groups_that_started_apart_are_each_placed_by_their_own() -> None:
    log = events((1, "ready", "a", 0), (51, "ready", "b", 0))
    times = [(0.0, 0.0, 10.0)]
    apart = requests({"a": times, "b": times}, {"b": START + 50 * MS})
    assert [task.events[0].at_ns for task in build(apart, None, log, no_priority).tasks] == [MS, MS]


def test_what_was_so_before_the_start_is_so_from_the_start() -> None:
    log = events((-3, "suspend", "low", 1), (4, "resume", "low", 1))
    (low,) = build(requests({"low": [(0, 0, 10)]}), None, log, no_priority).tasks
    assert low.suspensions == [Suspension(0, 4 * MS, 0)]


def test_the_lead_in_is_left_out() -> None:
    """Of its events and marks nothing is shown, but for a suspension that goes on."""
    log = events(
        (-9, "suspend", "low", 1),
        (-8, "resume", "low", 1),
        (-3, "suspend", "low", 2),
        (4, "resume", "low", 5),
    )
    told = files.mark_table(
        [Marks("low", 1, 1, START + np.array([-5, -1, 10]) * MS, np.zeros(0))], {"low": 2}
    )
    (low,) = build(requests({"low": [(0, 0, 10)]}), told, log, no_priority).tasks
    assert low.suspensions == [Suspension(0, 4 * MS, 3)]
    assert low.events == [SchedulerEvent(4 * MS, "resume", 5)]
    assert low.marks == [Mark(10 * MS, 1.0)]


def test_a_suspension_without_an_end_lasts_as_long_as_the_run() -> None:
    log = events((0, "ready", "low", 0), (2, "suspend", "low", 1))
    (low,) = build(requests({"low": [(0, 0, 10)]}), None, log, no_priority).tasks
    assert low.suspensions == [Suspension(2 * MS, 10 * MS, None)]


def test_marks_are_placed_by_the_recorded_start_and_count_through_a_request() -> None:
    high, low = build(TWO_TASKS, marks(), None, PRIORITIES.__getitem__).tasks
    at = (14 * MS, 16 * MS, 18 * MS, 20 * MS)
    assert high.marks == [*map(Mark, at, QUARTERS)]
    assert [mark.share for mark in low.marks] == QUARTERS * 2
    assert [mark.at_ns / MS for mark in low.marks] == [2.5, 5, 7.5, 10, 12, 15, 24, 30]


def test_marks_of_groups_that_started_apart_are_each_placed_by_their_own() -> None:
    times = [(0.0, 0.0, 10.0)]
    apart = requests({"a": times, "b": times}, {"b": START + 50 * MS})
    told = files.mark_table(
        [
            Marks(name, 1, 1, np.array([START + at * MS]), np.zeros(0))
            for name, at in (("a", 10), ("b", 60))
        ],
        {"a": 0, "b": 0},
    )
    shown = build(apart, told, None, no_priority)
    assert [task.marks for task in shown.tasks] == [[Mark(10 * MS, 1.0)]] * 2


@pytest.mark.parametrize("parts", [1, 7, 10, 11, 24, 1000])
def test_of_many_marks_a_few_of_each_request_are_shown_its_end_among_them(parts: int) -> None:
    at_ns = START + np.arange(3 * parts) * 1000
    told = files.mark_table([Marks("a", parts, parts, at_ns, np.zeros(0))], {"a": 0})
    (task,) = build(requests({"a": [(0, 0, 10)]}), told, None, no_priority).tasks
    ends = [mark.at_ns for mark in task.marks if mark.share == 1]
    assert ends == [(number * parts - 1) * 1000 for number in (1, 2, 3)]
    assert 3 * min(parts, MARKS_SHOWN // 2) <= len(task.marks) <= 3 * MARKS_SHOWN


def test_marks_that_cannot_be_placed_are_left_out() -> None:
    nowhere = TWO_TASKS.replace_schema_metadata(None)
    shown = build(nowhere, marks(), None, PRIORITIES.__getitem__)
    assert not any(task.marks for task in shown.tasks)


def test_a_log_that_cannot_be_placed_is_left_out_and_said_to_be() -> None:
    shown = build(TWO_TASKS.replace_schema_metadata(None), None, PREEMPTED, PRIORITIES.__getitem__)
    assert not any(task.events for task in shown.tasks)
    assert "cannot be placed" in shown.notes[0]


def test_requests_are_slices_with_what_a_reader_asks(preempted: Timeline) -> None:
    content = trace(preempted, "a run")
    high, *_ = [e for e in of_phase(content, "X") if e["cat"] == "request" and e["pid"] == 1]
    assert (high["ts"], high["dur"]) == (12_500.0, 7_500.0)
    assert high["args"] == {
        "priority": 2,
        "scheduled_ms": 12.0,
        "started_ms": 12.5,
        "completed_ms": 20.0,
        "waited_ms": 0.5,
        "latency_ms": 8.0,
        "extra": False,
    }
    begin, end = of_phase(content, "b"), of_phase(content, "e")
    assert [(e["ts"], e["id"]) for e in begin] == [(12_000.0, "1.0")]
    assert [(e["ts"], e["id"]) for e in end] == [(12_500.0, "1.0")]
    names = {e["pid"]: e["args"]["name"] for e in of_phase(content, "M") if "name" in e["args"]}
    assert names.keys() == {1, 2, 3}
    assert content["otherData"]["cut"] is False
    assert content["otherData"]["shown_until_ms"] == 30.0


def test_suspensions_have_a_track_and_a_counter(preempted: Timeline) -> None:
    content = trace(preempted, "a run")
    (suspended,) = [e for e in of_phase(content, "X") if e["name"] == "suspended"]
    assert suspended["pid"] == 2
    assert suspended["args"] == {"commands_passed": 2}
    assert [e["args"]["queues"] for e in of_phase(content, "C")] == [1, 0]
    moments = Counter(e["name"] for e in of_phase(content, "i"))
    assert moments == {"ready": 3, "idle": 2, "suspend": 1, "resume": 1}


def test_a_counter_rises_through_each_request_and_is_level_where_it_stood_still() -> None:
    content = trace(build(TWO_TASKS, marks(), PREEMPTED, PRIORITIES.__getitem__), "a run")
    counted: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for each in of_phase(content, "C"):
        if each["name"] == "progress of the request":
            counted[each["pid"]].append((each["ts"], each["args"]["share"]))
    high, low = counted[1], counted[2]
    assert high == [*zip((14_000.0, 16_000.0, 18_000.0, 20_000.0), QUARTERS, strict=True)]
    assert low[4:] == [*zip((12_000.0, 15_000.0, 24_000.0, 30_000.0), QUARTERS, strict=True)]
    assert len([e for e in of_phase(content, "C") if "queues" in e["args"]]) == 2


def test_every_track_has_a_number_of_its_own_and_a_name(preempted: Timeline) -> None:
    content = trace(preempted, "a run")
    tracks = [(e["pid"], e["tid"]) for e in of_phase(content, "M") if e["name"] == "thread_name"]
    assert len({tid for _, tid in tracks}) == len(tracks) == 4
    used = {(e["pid"], e["tid"]) for phase in "Xibe" for e in of_phase(content, phase)}
    assert used == set(tracks)


def test_slices_of_a_track_do_not_overlap(preempted: Timeline) -> None:
    ends: dict[tuple[int, int], float] = {}
    slices = of_phase(trace(preempted, "a run"), "X")
    for each in sorted(slices, key=lambda e: e["ts"]):
        track = each["pid"], each["tid"]
        assert each["ts"] >= ends.get(track, 0.0)
        ends[track] = each["ts"] + each["dur"]


def test_a_gpu_s_run_has_requests_alone() -> None:
    content = trace(build(TWO_TASKS, None, None, PRIORITIES.__getitem__), "a run")
    assert {event["ph"] for event in content["traceEvents"]} == {"M", "X", "b", "e"}
    assert len([e for e in of_phase(content, "M") if e["name"] == "process_name"]) == 2


def test_a_long_run_is_cut_and_says_where() -> None:
    times = [(float(at), at + 1.0, at + 2.0) for at in range(0, 40_000, 2)]
    log = events(
        *((at + 0.5, "ready", "a", 0) for at in range(0, 40_000, 2)),
        *((at + 0.7, name, "b", 0) for at in range(5000) for name in ("suspend", "resume")),
    )
    shown = build(requests({"a": times, "b": times}), None, log, no_priority)
    content = trace(shown, "a run")
    assert MOST_EVENTS - 2 < len(content["traceEvents"]) <= MOST_EVENTS
    assert Counter(e["id"] for e in of_phase(content, "b")) == Counter(
        e["id"] for e in of_phase(content, "e")
    )
    about = content["otherData"]
    assert about["cut"]
    assert about["whole_ms"] == 40_000
    starts = [e["ts"] / 1e3 for e in content["traceEvents"] if "ts" in e and e["ph"] != "e"]
    assert max(starts) <= about["shown_until_ms"] < 10_000
    # Nothing before the cut is missing: both tasks reach it.
    for pid in (1, 2):
        last = max(e["ts"] / 1e3 for e in of_phase(content, "b") if e["pid"] == pid)
        assert last > about["shown_until_ms"] - 4


def a_run(tmp_path: Path, **summary: Any) -> Run:
    pq.write_table(TWO_TASKS, tmp_path / files.REQUESTS)
    pq.write_table(PREEMPTED, tmp_path / files.EVENTS)
    pq.write_table(marks(), tmp_path / files.MARKS)
    made = Summary(**{"name": "r", "status": Status.FINISHED, **summary})
    files.write_json(tmp_path / files.SUMMARY, made)
    return read_run(seal(tmp_path))


def test_both_files_are_written_from_the_folder_alone(tmp_path: Path) -> None:
    tasks = {name: TaskSummary(priority=priority) for name, priority in PRIORITIES.items()}
    run = a_run(tmp_path, tasks=tasks)
    write_trace(run)
    timeline(run, "a run")
    content = json.loads((tmp_path / files.TRACE).read_text())
    shown = build(TWO_TASKS, marks(), PREEMPTED, PRIORITIES.__getitem__)
    assert content == trace(shown, tmp_path.name)
    height, width, _ = imread(tmp_path / files.TIMELINE).shape
    assert width == 990
    assert height < width


def test_hatching_takes_a_path_a_task_however_often_it_was_suspended() -> None:
    """Each path takes milliseconds: 300 tasks took minutes."""
    often = build(TWO_TASKS, None, PREEMPTED, PRIORITIES.__getitem__)
    suspensions = [Suspension(at * MS, at * MS + MS // 2, 0) for at in range(500)]
    tasks = [replace(task, suspensions=suspensions) for task in often.tasks]
    (axes,) = timelines([("a run", Timeline(tasks))], 400 * MS).axes
    hatched = [part.get_path() for part in axes.patches if part.get_hatch()]
    assert [len(path) for path in hatched] == [400 * 5] * len(tasks)


def test_a_figure_has_a_dash_for_each_mark_it_has_room_for() -> None:
    shown = build(TWO_TASKS, marks(), PREEMPTED, PRIORITIES.__getitem__)
    figure = timelines([("a run", shown)], 20 * MS)
    (axes,) = figure.axes
    dashes = [line for line in axes.lines if line.get_marker() == "|"]
    assert [len(np.asarray(line.get_xdata())) for line in dashes] == [3, 6], "those before 20 ms"
    said = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "parts done" in said
    without = timelines([("a run", build(TWO_TASKS, None, None, no_priority))], 20 * MS)
    said = [text.get_text() for legend in without.legends for text in legend.get_texts()]
    assert "parts done" not in said


def test_a_failed_run_s_priorities_come_from_its_configuration(tmp_path: Path) -> None:
    (tmp_path / files.CONFIG).write_text(
        "task_set: {tasks: {low: {priority: 0}, high: {priority: 2}}}"
    )
    run = a_run(tmp_path, status=Status.FAILED)
    assert [(t.name, t.priority) for t in read(run).tasks] == [("high", 2), ("low", 0)]


def test_solo_tasks_that_share_no_clock_say_so(tmp_path: Path) -> None:
    assert "one after another" in read(a_run(tmp_path, arm="solo")).notes[0]


def test_a_run_without_a_log_has_its_requests(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / files.EVENTS).unlink()
    assert [len(task.requests) for task in read(run).tasks] == [2, 1]
    assert not any(task.events for task in read(run).tasks)
    assert all(task.marks for task in read(run).tasks)


def test_a_run_of_before_there_were_marks_has_none(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (tmp_path / files.MARKS).unlink()
    assert not any(task.marks for task in read(run).tasks)
    assert any(task.events for task in read(run).tasks)


def test_a_run_that_died_before_its_window_has_an_empty_trace(tmp_path: Path) -> None:
    none = np.zeros((0, 3), np.int64)
    requests = [TaskRequests("a", 1, 9, none[:, 0], none[:, 1], none[:, 2], none)]
    keep(tmp_path, Summary.failed("a run", "it died"), requests=requests)
    run = read_run(tmp_path)
    write_trace(run)
    timeline(run, "a run")
    content = json.loads((tmp_path / files.TRACE).read_text())
    assert {event["ph"] for event in content["traceEvents"]} <= {"M"}
    assert not (tmp_path / files.TIMELINE).exists()


def test_a_figure_shows_a_few_dozen_requests_with_some_urgent_ones() -> None:
    quick = [(float(at), float(at), at + 1.0) for at in range(1000)]
    rare = [(at, at, at + 1.0) for at in (100.0, 200.0, 300.0, 400.0)]
    assert readable_ns(build(requests({"quick": quick}), None, None, no_priority)) == 24 * MS
    both = requests({"quick": quick, "rare": rare})
    assert readable_ns(build(both, None, None, lambda name: int(name == "rare"))) == 301 * MS
    assert readable_ns(build(requests({"short": quick[:4]}), None, None, no_priority)) == 4 * MS
    slow = [(at * 1e3, at * 1e3, at * 1e3 + 900.0) for at in range(50)]
    assert readable_ns(build(requests({"slow": slow}), None, None, no_priority)) == 5_000 * MS
