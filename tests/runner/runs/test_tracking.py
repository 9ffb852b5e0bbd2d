import errno
import json
import math
import os
import shutil
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as InMlflow

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.platforms.device import DeviceFacts, DeviceOrigin
from runner.platforms.gpu.telemetry import EPOCH_NS, GPU, TELEMETRY
from runner.proof.checks import Verdict
from runner.runs import files, provenance, store, view
from runner.runs.load import load, sweep_in
from runner.runs.record import (
    Code,
    Conclusion,
    Entry,
    Figure,
    Logged,
    Provenance,
    Summary,
    SweepRecord,
    TaskSummary,
)
from runner.runs.run import read_run
from runner.runs.sweep import Sweep
from runner.runs.tracking import UNUSABLE, Tracking, forget, log_missing, open_store
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, write_run, write_sweep
from tests.runner.stores import by_id, sweep_of

ENDED = "2026-01-02T03:04:05+00:00"
ENDED_MS = int(datetime.fromisoformat(ENDED).timestamp() * 1000)
SUMMARY: dict[str, Any] = {
    "name": "block-t4",
    "level": "block",
    "asked_level": "interrupt",
    "priority": "applied",
    "device": DeviceFacts(throttled=("sw_thermal",)),
    "preemptions": 7,
    "config_hash": "abc",
    "sweep": "s",
    "notes": ("nothing was preempted",),
    "window_s": 2.0,
    "saturation": 0.9,
    "tasks": {"high-1": TaskSummary(priority=3), "lost": TaskSummary(priority=1)},
    "figures": {
        "p50_ms/priority_3": Figure(1.0),
        "p95_ms/priority_3": Figure(1.5),
        "p99_ms/priority_3": Figure(2.0, (1.75, None)),
        "p99.9_ms/priority_3": Figure(2.0),
        "service_p99_ms/priority_3": Figure(1.0),
        "throughput_rps/priority_3": Figure(5.0),
        "p99_ms/priority_1": Figure(4.0, (3.5, 4.5)),
        "p95_ms/high-1": Figure(1.5),
        "p99_ms/high-1": Figure(2.0, (1.75, None)),
        "throughput_rps/high-1": Figure(5.0),
        "throughput_rps/lost": Figure(0.0),
        "stp": Figure(0.75),
        "preemptions": Figure(7.0),
    },
}
CONFIG = {
    "xsched": {"threshold": 4},
    "output_root": "/secret",
    "tracking": {"uri": "x"},
    "sweep": {"repeats": 3},
    "seed": None,
    "long": "x" * 7000,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path)


def made(tmp_path: Path, **changes: Any) -> Path:
    task = MadeTask([float(n) for n in range(200)], 3)
    folder = write_run(tmp_path / "run", "xsched", {"high-1": task}, CONFIG)
    summary = replace(read_run(folder).summary, **{**SUMMARY, **changes})
    files.write_json(folder / files.SUMMARY, summary)
    command = ("python", "-m", "runner", "task_set=made")
    origin = Provenance(time=ENDED, command=command, code=Code("c0ffee"))
    files.write_json(folder / files.PROVENANCE, origin)
    return folder


def logged(uri: str, folder: Path) -> InMlflow:
    assert Tracking(uri, "six_bert").log(read_run(folder)) == ""
    return found(uri, folder)


def found(uri: str, folder: Path) -> InMlflow:
    where = files.read_logged(folder)
    assert where
    assert where.uri == uri
    run: InMlflow = MlflowClient(uri).get_run(where.run_id)
    assert run.info.experiment_id == where.experiment
    return run


# --- a run ---------------------------------------------------------------------------------------


def test_a_run_carries_params_metrics_tags_and_artifacts(uri: str, run: Path) -> None:
    names = sorted(path.name for path in run.iterdir())
    done = logged(uri, run)
    client = MlflowClient(uri)
    assert client.get_experiment(done.info.experiment_id).name == "six_bert"
    assert done.info.run_name == "block-t4"
    assert done.info.status == "FINISHED"
    params = done.data.params
    assert (params["xsched.threshold"], params["arm.name"]) == ("4", "xsched")
    assert params["task_set.tasks.high-1.priority"] == "3"
    assert params["long"] == "x" * 6000
    assert not {"output_root", "tracking.uri", "sweep.repeats", "repeat", "seed"} & set(params)
    metrics = done.data.metrics
    assert metrics["p99_ms/priority_3"] == 2.0
    assert metrics["p99.9_ms/priority_3"] == 2.0
    assert metrics["p99_ms_low/priority_3"] == 1.75
    assert "p99_ms_high/priority_3" not in metrics, "no upper end"
    assert metrics["p99_ms_low/priority_1"] == 3.5
    assert metrics["p99_ms_high/priority_1"] == 4.5
    assert metrics["p95_ms/priority_3"] == 1.5
    assert metrics["p99_ms/high-1"] == 2.0
    assert "p95_ms/high-1" not in metrics, "tasks have few figures"
    assert "service_p99_ms/priority_3" not in metrics
    assert (metrics["stp"], metrics["preemptions"]) == (0.75, 7.0)
    assert metrics["window_s"] == 2.0
    assert metrics["throughput_rps/lost"] == 0.0
    assert "p99_ms/lost" not in metrics
    tags = done.data.tags
    assert (tags["proof"], tags["effective_level"], tags["config_hash"]) == (
        "proven",
        "block",
        "abc",
    )
    assert (tags["arm"], tags["valid"], tags["throttled"]) == ("xsched", "True", "sw_thermal")
    assert (tags["saturation"], tags["preemptions"]) == ("0.90", "7")
    assert tags["mlflow.note.content"] == "nothing was preempted"
    assert tags["repeat"] == "0"
    assert tags["mlflow.source.name"] == "python -m runner task_set=made"
    assert tags["mlflow.user"]
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert tags["folder"].endswith(f":{run}")
    assert sorted(each.path for each in client.list_artifacts(done.info.run_id)) == names
    cdf = client.get_metric_history(done.info.run_id, "cdf/high-1")
    assert [point.step for point in cdf] == list(range(1, 101))
    assert [point.value for point in cdf] == [2.0 * n - 1 for n in range(1, 101)]


def test_the_urgent_p99_is_the_first_metric(uri: str, run: Path) -> None:
    """The compare page preselects it; MLflow gives metrics back in the order of logging."""
    assert next(iter(logged(uri, run).data.metrics)) == "p99_ms/priority_3"


def test_times_are_those_of_the_run_and_not_of_its_logging(uri: str, run: Path) -> None:
    done = logged(uri, run)
    assert (done.info.start_time, done.info.end_time) == (ENDED_MS - 2000, ENDED_MS)
    history = MlflowClient(uri).get_metric_history(done.info.run_id, "stp")
    assert [each.timestamp for each in history] == [ENDED_MS]


def test_telemetry_is_logged_as_system_metrics(uri: str, run: Path) -> None:
    rows = [{"phase": "during", "at_ns": at_s * 10**9, "power_w": 400.5} for at_s in (1, 2)]
    said = {GPU: "3", EPOCH_NS: str(ENDED_MS * 10**6)}
    table = pa.Table.from_pylist(rows, TELEMETRY.with_metadata(said))
    pq.write_table(table, run / files.TELEMETRY)
    done = logged(uri, run)
    history = MlflowClient(uri).get_metric_history(
        done.info.run_id, "system/gpu_3_power_usage_watts"
    )
    assert [(each.value, each.timestamp - ENDED_MS, each.step) for each in history] == [
        (400.5, 1000, 0),
        (400.5, 2000, 1),
    ]
    assert "system/gpu_3_temperature_celsius" not in done.data.metrics


def test_a_failed_run_shows_no_figures(uri: str, tmp_path: Path) -> None:
    folder = made(tmp_path, status=Status.FAILED, reason="level: not in effect")
    done = logged(uri, folder)
    assert done.info.status == "FAILED"
    assert done.data.metrics == {}
    assert done.data.tags["reason"] == "level: not in effect"


def test_a_run_that_left_a_reason_alone_is_logged(uri: str, tmp_path: Path) -> None:
    folder = made(tmp_path, status=Status.FAILED, reason="no device", config_hash="", window_s=None)
    for name in (files.CONFIG, files.REQUESTS, files.PROVENANCE):
        (folder / name).unlink()
    assert logged(uri, folder).info.status == "FAILED"


def test_an_interrupted_run_shows_what_was_measured(uri: str, tmp_path: Path) -> None:
    folder = made(tmp_path, status=Status.KILLED, proof=Verdict.INCOMPLETE)
    done = logged(uri, folder)
    assert (done.info.status, done.data.tags["proof"]) == ("KILLED", "incomplete")
    assert done.data.metrics["p99_ms/priority_3"] == 2.0


def test_a_run_is_read_back_as_it_was(uri: str, run: Path) -> None:
    (back,) = load(logged(uri, run).info.run_id, uri=uri)
    assert back.summary == read_run(run).summary
    assert back.tasks["high-1"].response_ms.tolist() == list(range(200))


def test_a_configuration_says_the_store_and_the_experiment(uri: str, tmp_path: Path) -> None:
    config = Config()
    config.tracking.uri = uri
    store = open_store(config)
    assert isinstance(store, Tracking)
    assert store.uri == uri
    one = write_run(tmp_path / "one", "solo", {"a": MadeTask([1.0])}, {"task_set": {"name": "b"}})
    other = write_run(
        tmp_path / "two", "solo", {"a": MadeTask([1.0])}, {"tracking": {"experiment": "mine"}}
    )
    for folder, name in ((one, "b"), (other, "mine")):
        assert store.log(read_run(folder)) == ""
        experiment = found(uri, folder).info.experiment_id
        assert MlflowClient(uri).get_experiment(experiment).name == name
    config.tracking.backend = "none"
    assert open_store(config) is None
    assert log_missing(sweep_of(tmp_path / "sweep", 3), None) == []
    assert not (tmp_path / "sweep" / "mlflow.json").exists()
    config.tracking.backend, config.tracking.uri = "mlflow", "foo"
    with pytest.raises(UserError, match=r"tracking\.uri=foo"):
        open_store(config)


# --- a sweep -------------------------------------------------------------------------------------


def test_what_is_missing_is_logged_once(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    assert log_missing(sweep, Tracking(uri)) == []
    first = by_id(uri)
    assert {run.info.run_name for run in first.values()} == {"r0", "r1", "r2", "sweep"}
    assert log_missing(sweep, Tracking(uri)) == []
    assert by_id(uri).keys() == first.keys()


def test_a_run_that_another_takes_the_place_of_is_withdrawn(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 2)
    tracking = Tracking(uri)
    assert [tracking.log(each) for each in sweep] == ["", ""]
    assert tracking.withdraw(sweep[0].folder) == ""
    assert [run.info.run_name for run in by_id(uri).values()] == ["r1"]
    assert Tracking("sqlite:////elsewhere.db").withdraw(sweep[1].folder) == "", "not logged there"
    assert len(by_id(uri)) == 1


def test_what_was_about_to_be_deleted_is_not_taken_for_a_result(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the end of half a run and its deletion."""

    class Killed(BaseException): ...

    def killed(*_: object, **__: object) -> None:
        raise Killed

    (run,) = sweep_of(tmp_path / "sweep", 1)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        patch.setattr(MlflowClient, "delete_run", killed)
        with pytest.raises(Killed):
            Tracking(uri).log(run)
    assert Tracking(uri).log(run) == ""
    (logged,) = by_id(uri).values()
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics


def test_what_a_sweep_no_longer_comes_to_is_no_number(uri: str, tmp_path: Path) -> None:
    sweep, store = sweep_of(tmp_path / "sweep", 2), Tracking(uri)
    for metrics in ({"ratio/xsched": 0.5, "p99_ms/native": 2.0}, {"p50_ms/native": 1.0}):
        files.write_json(tmp_path / "sweep" / files.CONCLUDED, Conclusion(metrics=metrics))
        assert log_missing(sweep, store) == []
    told = found(uri, tmp_path / "sweep").data.metrics
    assert {name: value for name, value in told.items() if not math.isnan(value)} == metrics


def test_a_run_that_failed_before_it_had_a_configuration_is_logged_with_the_others(
    uri: str, tmp_path: Path
) -> None:
    """Though it comes first."""
    folder = tmp_path / "sweep"
    (folder / "died").mkdir(parents=True)
    files.write_json(folder / "died" / files.SUMMARY, Summary.failed("died", "no device"))
    write_run(folder / "ran", "native", {"urgent": MadeTask([1.0])})
    sweep = load(write_sweep(folder, [{"folder": "died"}, {"folder": "ran"}]))
    assert log_missing(sweep, Tracking(uri)) == []
    assert {run.info.run_name for run in by_id(uri).values()} == {"died", "ran", "sweep"}


def test_nothing_is_asked_of_a_store_that_has_all(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    store = Tracking(uri)
    assert log_missing(sweep, store) == []
    Path(uri.removeprefix("sqlite:///")).write_text("no database")
    assert store.reach() != ""
    assert log_missing(sweep, store) == []


def test_another_store_gets_all(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    assert log_missing(sweep, Tracking(uri)) == []
    other = f"sqlite:///{tmp_path}/other.db"
    shutil.copy(uri.removeprefix("sqlite:///"), tmp_path / "other.db")
    client = MlflowClient(other)
    for run_id in by_id(other):
        client.delete_run(run_id)
    assert log_missing(sweep, Tracking(other)) == []
    assert len(by_id(other)) == 4
    assert {found(other, run.folder).info.status for run in sweep} == {"FINISHED"}


def test_a_run_without_a_result_is_not_logged(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 1)
    (sweep[0].folder / files.SUMMARY).unlink()
    assert log_missing(load(tmp_path / "sweep"), Tracking(uri)) == []
    assert by_id(uri) == {}


def test_a_compared_sweep_has_a_parent_that_says_what_was_swept(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    (tmp_path / "sweep" / "report").mkdir()
    (tmp_path / "sweep" / "report" / "report.html").write_text("a page")
    assert log_missing(sweep, Tracking(uri)) == []
    parent = found(uri, tmp_path / "sweep")
    assert parent.info.status == "FINISHED"
    children = {run.folder.name: found(uri, run.folder) for run in sweep}
    assert {c.data.tags["mlflow.parentRunId"] for c in children.values()} == {parent.info.run_id}
    back = {run.name: run for run in load(parent.info.run_id, uri=uri)}
    assert back.keys() == {"r0", "r1", "r2"}
    assert {name: run.repeat for name, run in back.items()} == {"r0": 0, "r1": 1, "r2": 2}
    assert all(run.values == {"key": "a"} for run in back.values())
    paths = {each.path for each in MlflowClient(uri).list_artifacts(parent.info.run_id)}
    assert paths == {"sweep.json", "report"}


def test_new_conclusions_go_to_the_same_parent(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    store = Tracking(uri)
    assert log_missing(sweep, store) == []
    before = found(uri, tmp_path / "sweep").info.run_id
    for verdict, value in (("No verdict", 3.0), ("It is better", 2.0)):
        conclusion = Conclusion(
            verdicts=(verdict,),
            primary="p99_ms/priority_1",
            table="| arm |",
            picture="report/figures/p99.png",
            metrics={"p99_ms/priority_1/native": value},
        )
        files.write_json(tmp_path / "sweep" / files.CONCLUDED, conclusion)
        assert log_missing(sweep, store) == []
        parent = found(uri, tmp_path / "sweep")
        assert parent.info.run_id == before
        note = parent.data.tags["mlflow.note.content"]
        assert note.startswith(f"{verdict}\n\n| arm |\n\n![p99_ms/priority_1](get-artifact?path=")
        assert note.count(before) == 1, "the picture is an artifact of this run"
        assert parent.data.metrics == {"p99_ms/priority_1/native": value}
    paths = {each.path for each in MlflowClient(uri).list_artifacts(before)}
    assert paths == {"sweep.json", "conclusion.json"}


def test_a_parent_is_as_old_as_its_runs(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 2)
    assert log_missing(sweep, Tracking(uri)) == []
    parent = found(uri, tmp_path / "sweep")
    children = [found(uri, run.folder) for run in sweep]
    assert parent.info.start_time == min(child.info.start_time for child in children)
    assert parent.info.end_time == max(child.info.end_time for child in children)
    assert parent.data.tags["mlflow.user"] == children[0].data.tags["mlflow.user"]


def test_the_page_of_a_sweep_is_in_a_tag_of_its_experiment(uri: str, tmp_path: Path) -> None:
    assert log_missing(sweep_of(tmp_path / "sweep", 2), Tracking(uri)) == []
    parent = found(uri, tmp_path / "sweep").info
    tags = MlflowClient(uri).get_experiment(parent.experiment_id).tags
    page = json.loads(tags[f"{view.SHARED}{parent.run_id}"])
    assert page["selectedColumns"][:2] == ["tags.`arm`", "params.`key`"]
    runs = MlflowClient(uri).search_runs([parent.experiment_id], page["searchFilter"])
    assert {run.info.run_name for run in runs} == {"r0", "r1"}


def test_the_page_has_no_column_that_no_run_has(uri: str, tmp_path: Path) -> None:
    """The arm is a tag, and a group is a parameter by its name."""
    entries = []
    for arm in ("native", "solo"):
        place, config = tmp_path / "sweep" / arm, {"model": {"name": "bert_mini"}}
        write_run(place, arm, {"urgent": MadeTask([10.0, 20.0], 1)}, config, config_hash=arm)
        values = {"arm": arm, "model": "bert_mini"}
        entries.append({"folder": arm, "arm": arm, "repeat": 0, "values": values})
    sweep = sweep_in(write_sweep(tmp_path / "sweep", entries))
    assert log_missing(sweep, Tracking(uri)) == []
    parent = files.read_logged(tmp_path / "sweep")
    assert parent
    tags = MlflowClient(uri).get_experiment(parent.experiment).tags
    page = json.loads(tags[f"{view.SHARED}{parent.run_id}"])
    assert [each for each in page["selectedColumns"] if "params" in each] == ["params.`model.name`"]
    assert len(page["groupBy"]["groupByKeys"]) == 2


def test_a_single_run_has_no_parent(uri: str, tmp_path: Path) -> None:
    assert log_missing(sweep_of(tmp_path / "sweep", 1), Tracking(uri)) == []
    assert {run.info.run_name for run in by_id(uri).values()} == {"r0"}


def test_what_was_swept_and_a_run_does_not_depend_on_is_no_param(uri: str, tmp_path: Path) -> None:
    config = {"xsched": {"threshold": 4, "batch_size": 1}}
    folder = write_run(tmp_path / "run", "native", {"a": MadeTask([1.0])}, config)
    entry = Entry(folder="run", arm="native", values={"xsched.threshold": None})
    assert Tracking(uri).log(read_run(folder, entry)) == ""
    params = found(uri, folder).data.params
    assert params["xsched.batch_size"] == "1"
    assert "xsched.threshold" not in params
    other = write_run(tmp_path / "other", "native", {"a": MadeTask([1.0])}, config)
    of_a_group = Entry(folder="other", arm="native", values={"xsched": None})
    assert Tracking(uri).log(read_run(other, of_a_group)) == ""
    assert not [key for key in found(uri, other).data.params if key.startswith("xsched")]


def test_a_run_of_an_older_version_is_not_logged_again(uri: str, run: Path) -> None:
    """Its id was in its summary; nothing else of MLflow was in its folder."""
    done = logged(uri, run)
    client = MlflowClient(uri)
    for tag in ("folder", "result"):
        client.delete_tag(done.info.run_id, tag)
    (run / files.LOGGED).unlink()
    summary = read_run(run).summary
    files.write_json(run / files.SUMMARY, replace(summary, mlflow_run_id=done.info.run_id))
    assert logged(uri, run).info.run_id == done.info.run_id
    assert by_id(uri).keys() == {done.info.run_id}


def test_a_password_is_no_part_of_where_a_run_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "solo", {"a": MadeTask([1.0])})
    files.write_json(run / files.LOGGED, Logged("a", "https://server/", "7"))
    assert not Tracking("https://me:secret@server").has(run)
    assert Tracking("https://me:secret@server/").has(run)


def test_mlflow_json_is_the_record(uri: str, run: Path) -> None:
    done = logged(uri, run)
    assert json.loads((run / "mlflow.json").read_text()) == {
        "run_id": done.info.run_id,
        "uri": uri,
        "experiment": done.info.experiment_id,
    }


def test_loose_runs_are_logged_without_a_parent(uri: str, run: Path) -> None:
    loose = Sweep((read_run(run),), SweepRecord(runs=(Entry(folder="run"),), repeats=3), None)
    assert log_missing(loose, Tracking(uri)) == []
    assert len(by_id(uri)) == 1


def test_a_local_store_has_a_second_name_for_each_file_and_no_copy(
    tmp_path: Path, uri: str
) -> None:
    """So what is deleted there stays in the folder, and what is written anew is logged anew."""
    sweep = sweep_of(tmp_path / "sweep", 2)
    files.write_json(tmp_path / "sweep" / files.CONCLUDED, Conclusion(verdicts=("one",)))
    assert log_missing(sweep, Tracking(uri)) == []
    client = MlflowClient(uri)
    for run in by_id(uri).values():
        there = Path(store.local_path(run.info.artifact_uri) or "")
        kept = [path for path in there.rglob("*") if path.is_file()]
        assert {path.stat().st_nlink for path in kept} == {2}
    run = sweep[0].folder
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    logged = files.read_logged(run)
    assert logged
    shutil.rmtree(store.local_path(client.get_run(logged.run_id).info.artifact_uri) or "")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    files.write_json(tmp_path / "sweep" / files.CONCLUDED, Conclusion(verdicts=("two",)))
    assert log_missing(load(tmp_path / "sweep"), Tracking(uri)) == []
    parent = files.read_logged(tmp_path / "sweep")
    assert parent
    told = client.download_artifacts(parent.run_id, files.CONCLUDED, str(tmp_path))
    assert "two" in Path(told).read_text()


def test_a_store_on_another_disk_gets_a_copy(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    sweep = sweep_of(tmp_path / "sweep", 1)
    assert log_missing(sweep, Tracking(uri)) == []
    (run,) = by_id(uri).values()
    there = Path(store.local_path(run.info.artifact_uri) or "")
    assert (there / files.SUMMARY).read_bytes() == (sweep[0].folder / files.SUMMARY).read_bytes()
    assert (there / files.SUMMARY).stat().st_nlink == 1


def test_jobs_in_other_processes_are_told_that_a_store_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a dead server keeps a sweep waiting once, however many processes run its points."""
    asked: list[str] = []
    monkeypatch.setattr(store, "trouble", lambda uri: asked.append(uri) or "does not answer")
    parent, *jobs = (Tracking("http://dead:1") for _ in range(4))
    parent.reach()
    parent.tell(tmp_path)
    for job in jobs:
        job.hear(tmp_path)
        assert job.prepare() == "does not answer"
    assert len(asked) == 1
    forget(tmp_path)
    fresh = Tracking("http://dead:1")
    fresh.hear(tmp_path)
    assert not fresh.trouble, "the next command asks again"
    assert not list(tmp_path.iterdir())


def test_a_store_that_can_be_used_leaves_no_word(tmp_path: Path, uri: str) -> None:
    (tmp_path / UNUSABLE).write_text("of a command that was killed")
    to = Tracking(uri)
    to.reach()
    to.tell(tmp_path)
    assert not (tmp_path / UNUSABLE).exists()


def test_no_record_has_the_password_of_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config()
    config.tracking.uri = "http://bob:secret@host:1"
    config.task_set.tasks = {"a": TaskConfig()}
    files.write_config(tmp_path, config, resolve(config))
    monkeypatch.setattr(sys, "argv", ["runner", "tracking.uri=http://bob:secret@host:1"])
    recorded = (tmp_path / files.CONFIG).read_text()
    assert "uri: http://host:1" in recorded
    assert "secret" not in recorded + str(provenance.present(DeviceOrigin()).command)
    assert "secret" not in store.first_line(OSError("refused: http://bob:secret@host:1/api"))
    asked = "http://host:1"
    assert store.uri(asked, tmp_path) == asked
    monkeypatch.setenv(store.VARIABLE, "http://bob:secret@host:1")
    assert store.uri(asked, tmp_path) == "http://bob:secret@host:1", "whoever logs later says it"
    assert store.uri("http://other:1", tmp_path) == "http://other:1"
