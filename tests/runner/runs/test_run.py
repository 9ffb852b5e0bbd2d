from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.config.errors import UserError
from runner.proof.checks import Check, Proof, Suspension, Verdict
from runner.proof.marks import Marks
from runner.runs import files
from runner.runs.record import Entry, Provenance, Summary, TaskSummary
from runner.runs.run import read_run
from runner.trial.status import Status
from tests.runner.run_folders import GAP_MS, THREE_REQUESTS, MadeTask, keep, seal, write_run
from xsched_bindings.types import PreemptLevel

ONE = {"urgent": MadeTask([10.0, 20.0, 30.0], priority=1)}


# --- what is read of a folder --------------------------------------------------------------------


def test_what_is_known_of_a_run(tmp_path: Path) -> None:
    run = read_run(
        write_run(tmp_path / "run", "xsched", ONE, valid=False, status=Status.KILLED, repeat=3)
    )
    assert (run.name, run.arm, run.task_set, run.status) == (
        "run",
        "xsched",
        "made",
        Status.KILLED,
    )
    assert (run.summary.platform, run.summary.placement) == ("host", "threads")
    assert (run.summary.proof, run.summary.valid) == (Verdict.PROVEN, False)
    assert (run.repeat, run.values, run.swept_known) == (3, {}, False)
    assert run.parameters["task_set.tasks.urgent.priority"] == 1


def test_an_entry_says_values_and_repeat_and_what_a_lost_summary_does_not(tmp_path: Path) -> None:
    values: dict[str, str | None] = {"xsched.threshold": "4", "model": None}
    entry = Entry(name="n", folder="f", arm="xsched", repeat=2, values=values)
    folder = write_run(tmp_path / "f", "native", ONE, repeat=7)
    run = read_run(folder, entry)
    assert (run.name, run.arm, run.repeat) == ("f", "native", 2)
    assert (run.values, run.swept_known) == (values, True)
    (folder / files.SUMMARY).unlink()
    lost = read_run(folder, entry)
    assert (lost.name, lost.arm, lost.task_set) == ("n", "xsched", "made")
    assert lost.summary.reason == "the run ended without a summary"


def test_an_empty_folder_is_a_failed_run(tmp_path: Path) -> None:
    run = read_run(tmp_path)
    assert (run.name, run.status, run.arm, run.repeat) == (tmp_path.name, Status.FAILED, "", 0)
    assert (run.parameters, run.values, run.swept_known) == ({}, {}, False)
    assert (run.proof, run.provenance) == (Proof(), Provenance())


def test_a_summary_that_names_nothing_is_named_by_what_is_around_it(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "f", "native", ONE)
    files.write_json(folder / files.SUMMARY, Summary(name="", status=Status.FINISHED))
    run = read_run(seal(folder))
    assert (run.name, run.arm, run.task_set) == ("f", "native", "made")


def test_the_point_is_the_same_for_all_repeats(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "f", "native", ONE)
    first, second, other = (
        read_run(folder, Entry(folder="f", repeat=repeat, values={"key": value}))
        for repeat, value in ((0, "1"), (1, "1"), (0, "2"))
    )
    assert first.point == second.point != other.point


def test_a_setting_is_as_swept_else_as_configured(tmp_path: Path) -> None:
    config = {"model": {"name": "gpt2"}, "seed": 3, "xsched": {"threshold": 4}}
    values: dict[str, str | None] = {"xsched.threshold": "8", "xsched.level": None}
    run = read_run(
        write_run(tmp_path / "f", "native", ONE, config), Entry(folder="f", values=values)
    )
    asked = ("arm", "xsched.threshold", "xsched.level", "model", "model.name", "seed", "nothing")
    assert [run.setting(key) for key in asked] == [
        *("native", "8", None),
        *("gpt2", "gpt2", "3", "None"),
    ]


# --- requests ------------------------------------------------------------------------------------


def test_requests_that_count(tmp_path: Path) -> None:
    configured = {"deadline_us": 25_000, "utilization": 75}
    task = MadeTask([10.0, 20.0, 30.0], 2, 5.0, extra=4, warmup=3, configured=configured)
    run = read_run(write_run(tmp_path / "run", "native", {"urgent": task}))
    found = run.tasks["urgent"]
    assert found.response_ms.tolist() == [10, 20, 30]
    assert found.service_ms.tolist() == [5, 10, 15]
    assert found.completed_ms.tolist() == [10, 120, 230, 307, 407, 507, 607]
    assert found.window_ms == 2 * GAP_MS + 30
    assert (found.priority, found.solo_ms) == (2, 5)
    assert (found.deadline_ms, found.utilization) == (25, 75)
    assert found.throughput_rps == pytest.approx(3 / 0.23)


def test_the_table_of_requests_has_every_one(tmp_path: Path) -> None:
    task = MadeTask([10.0, 20.0], extra=1, warmup=2)
    table = read_run(write_run(tmp_path / "run", "native", {"a": task})).requests()
    assert table.column_names == files.REQUEST_ROWS.names
    assert table["request"].to_pylist() == [-2, -1, 0, 1, 2]
    assert table["warmup"].to_pylist() == [True, True, False, False, False]
    assert table["extra"].to_pylist() == [False, False, False, False, True]


def test_the_table_of_events_is_the_scheduler_s_log(tmp_path: Path) -> None:
    log: dict[str, list[Any]] = {
        "at_ns": [5],
        "event": ["ready"],
        "task": ["urgent"],
        "completed": [0],
    }
    keep(tmp_path, events=log)
    run = read_run(tmp_path)
    assert run.events().to_pydict() == log
    (run.folder / files.EVENTS).unlink()
    with pytest.raises(UserError, match=r"events\.parquet cannot be read"):
        run.events()


def test_the_table_of_marks_is_what_the_device_told(tmp_path: Path) -> None:
    marks = [
        Marks("urgent", 2, 8, np.array([5, 7, 9, 12]), np.array([1.5, 2.5])),
        Marks("low", 1, 4, np.array([8]), np.array([])),
    ]
    keep(tmp_path, marks=marks, requests=[replace(THREE_REQUESTS, name=m.task) for m in marks])
    run = read_run(tmp_path)
    assert run.status is Status.FINISHED
    table = run.marks()
    assert table.column_names == files.MARK_ROWS.names
    assert table.to_pydict() == {
        "task": ["urgent"] * 4 + ["low"],
        "request": [0, 0, 1, 1, 0],
        "part": [0, 1, 0, 1, 0],
        "at_ns": [5, 7, 9, 12, 8],
        "result": [None, 1.5, None, 2.5, None],
    }
    (run.folder / files.MARKS).unlink()
    with pytest.raises(UserError, match=r"marks\.parquet cannot be read"):
        run.marks()


def test_the_window_ends_with_the_last_task_but_for_tasks_alone(tmp_path: Path) -> None:
    tasks = {"a": MadeTask([10.0] * 2), "b": MadeTask([10.0] * 5)}
    together, alone = (
        read_run(write_run(tmp_path / arm, arm, tasks)) for arm in ("native", "solo")
    )
    assert [task.window_ms for task in together.tasks.values()] == [410, 410]
    assert [task.window_ms for task in alone.tasks.values()] == [110, 410]


def test_the_window_ends_where_the_summary_says_to_the_nanosecond(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", "native", ONE))
    measured = {"urgent": TaskSummary(priority=1, window_s=0.123456789)}
    run = replace(run, summary=replace(run.summary, tasks=measured))
    assert run.tasks["urgent"].window_ms == 123.456789


def test_a_task_without_requests_is_not_there(tmp_path: Path) -> None:
    tasks = ONE | {"idle": MadeTask([], extra=0)}
    run = read_run(write_run(tmp_path / "run", "urgent_only", tasks))
    assert list(run.tasks) == ["urgent"]


def test_an_unknown_solo_time_is_not_a_number(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", "native", {"a": MadeTask([1.0], solo_ms=None)}))
    assert np.isnan(run.tasks["a"].solo_ms)


def test_suspensions_that_proved_the_level_are_timed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "xsched", {**ONE, "other": MadeTask([10.0])})
    probes = [
        Suspension("urgent", PreemptLevel.block, 4, 3, 9, True, True, ms) for ms in (1.5, 2.5)
    ]
    checks = (Check("level", True, "fine"), Check("window", True, "", "", {"suspensions": 7}))
    files.write_json(folder / files.PROOF, Proof(checks, suspensions=tuple(probes)))
    run = read_run(seal(folder))
    assert run.proof.verdict is Verdict.PROVEN
    assert run.tasks["urgent"].preemption_ms.tolist() == [1.5, 2.5]
    assert run.tasks["other"].preemption_ms.tolist() == []


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_lost_requests_are_named(tmp_path: Path, content: bytes | None) -> None:
    folder = write_run(tmp_path / "run", "native", ONE)
    (folder / files.REQUESTS).unlink()
    if content is not None:
        (folder / files.REQUESTS).write_bytes(content)
    run = read_run(folder)
    with pytest.raises(UserError, match=r"requests\.parquet cannot be read"):
        run.requests()
    with pytest.raises(UserError, match=r"requests\.parquet cannot be read"):
        run.figure("p99_ms/urgent")


# --- figures -------------------------------------------------------------------------------------


def test_figures_are_computed_from_the_requests_by_name(tmp_path: Path) -> None:
    tasks = {"a": MadeTask([10.0, 20.0, 30.0], 2), "b": MadeTask([5.0] * 3)}
    run = read_run(
        write_run(
            tmp_path / "run",
            "xsched",
            tasks,
            preemptions=3,
            against_policy=0.125,
            saturation=0.5,
            stolen=0.25,
            pace_us=210.5,
        )
    )
    expected = {
        "p50_ms/a": 20,
        "max_ms/highest": 30,
        "max_ms/priority_0": 5,
        "mean_ms": 20,
        "preemptions": 3,
        "against_policy": 0.125,
        "saturation": 0.5,
        "stolen": 0.25,
        "pace_us": 210.5,
    }
    for name, value in expected.items():
        found = run.figure(name)
        assert found is not None, name
        assert found.value == pytest.approx(value), name
    assert run.figure("p50_ms/nobody") is None
    with pytest.raises(UserError, match="did you mean: p50_ms"):
        run.figure("p50ms/a")


def test_a_name_with_a_dot_has_its_priority_like_others(tmp_path: Path) -> None:
    tasks = {"llama3.1": MadeTask([10.0] * 3, 3), "bert": MadeTask([500.0] * 3, 1)}
    run = read_run(write_run(tmp_path / "run", "native", tasks))
    assert run.measured.extremes == (1, 3)
    highest = run.figure("p50_ms/highest")
    assert highest
    assert highest.value == 10.0


def test_tasks_that_ran_alone_have_nothing_of_all_together(tmp_path: Path) -> None:
    tasks = {"a": MadeTask([10.0] * 3), "b": MadeTask([10.0] * 3)}
    alone, together = (
        read_run(write_run(tmp_path / arm, arm, tasks)) for arm in ("solo", "native")
    )
    assert alone.figure("stp") is None
    assert together.figure("stp") is not None
