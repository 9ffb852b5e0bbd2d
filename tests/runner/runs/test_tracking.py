from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.metrics.requests import TaskRequests
from runner.platforms.device import DeviceFacts
from runner.proof.checks import Verdict
from runner.runs.record import Figure, Summary, TaskSummary
from runner.runs.tracking import Tracking, uri
from runner.trial.status import Status

SUMMARY = Summary(
    name="block-t4",
    status=Status.FINISHED,
    arm="xsched",
    platform="host",
    placement="threads",
    level="block",
    asked_level="interrupt",
    priority="applied",
    device=DeviceFacts(throttled=("sw_thermal",)),
    proof=Verdict.PROVEN,
    valid=True,
    preemptions=7,
    config_hash="abc",
    sweep="s",
    notes=("nothing was preempted",),
    window_s=2.0,
    saturation=0.9,
    tasks={"high-1": TaskSummary(priority=3), "lost": TaskSummary(priority=1)},
    figures={
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
)
PARAMETERS = {"xsched.threshold": 4, "output_root": "/secret", "arm.name": "xsched"}


def requests(name: str, count: int) -> TaskRequests:
    times = np.arange(count, dtype=np.int64) * 1_000_000
    return TaskRequests(name, 3, count, times * 0, times * 0, times, np.zeros((0, 3), np.int64))


@pytest.fixture
def store(tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{tmp_path}/mlflow.db", "six_bert")


def logged(store: Tracking, tmp_path: Path, **changes: Any) -> Any:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text("{}")
    summary = replace(SUMMARY, **changes)
    parameters = PARAMETERS | {"sweep.repeats": 3, "tracking.uri": "x", "seed": None}
    run_id = store.log(folder, summary, parameters, [requests("high-1", 200)], "c0ffee")
    assert store._client is not None
    return store._client, store._client.get_run(run_id)


def test_a_run_carries_params_metrics_tags_and_artifacts(store: Tracking, tmp_path: Path) -> None:
    client, run = logged(store, tmp_path)
    assert run.info.run_name == "block-t4"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"xsched.threshold": "4", "arm.name": "xsched"}
    assert run.data.metrics["p99_ms/priority_3"] == 2.0
    assert run.data.metrics["p99.9_ms/priority_3"] == 2.0
    assert run.data.metrics["p99_ms_low/priority_3"] == 1.75
    assert "p99_ms_high/priority_3" not in run.data.metrics, "no upper end"
    assert run.data.metrics["p99_ms_low/priority_1"] == 3.5
    assert run.data.metrics["p99_ms_high/priority_1"] == 4.5
    assert run.data.metrics["p95_ms/priority_3"] == 1.5
    assert run.data.metrics["p99_ms/high-1"] == 2.0
    assert "p95_ms/high-1" not in run.data.metrics, "tasks have few figures"
    assert "service_p99_ms/priority_3" not in run.data.metrics
    assert (run.data.metrics["stp"], run.data.metrics["preemptions"]) == (0.75, 7.0)
    assert run.data.metrics["window_s"] == 2.0
    assert run.data.metrics["throughput_rps/lost"] == 0.0
    assert "p99_ms/lost" not in run.data.metrics
    tags = run.data.tags
    assert (tags["proof"], tags["effective_level"], tags["config_hash"]) == (
        "proven",
        "block",
        "abc",
    )
    assert (tags["arm"], tags["valid"], tags["throttled"]) == ("xsched", "True", "sw_thermal")
    assert (tags["saturation"], tags["preemptions"]) == ("0.90", "7")
    assert tags["mlflow.note.content"] == "nothing was preempted"
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == [
        "summary.json"
    ]
    cdf = client.get_metric_history(run.info.run_id, "cdf/high-1")
    assert [point.step for point in cdf] == list(range(1, 101))
    assert [point.value for point in cdf] == sorted(point.value for point in cdf)


def test_the_urgent_p99_is_the_first_metric(store: Tracking, tmp_path: Path) -> None:
    """The compare page preselects it; MLflow gives metrics back in the order of logging."""
    _, run = logged(store, tmp_path)
    assert next(iter(run.data.metrics)) == "p99_ms/priority_3"


def test_a_failed_run_shows_no_figures(store: Tracking, tmp_path: Path) -> None:
    _, run = logged(store, tmp_path, status=Status.FAILED, reason="level: not in effect")
    assert run.info.status == "FAILED"
    assert run.data.metrics == {}
    assert run.data.tags["reason"] == "level: not in effect"


def test_an_interrupted_run_shows_what_was_measured(store: Tracking, tmp_path: Path) -> None:
    _, run = logged(store, tmp_path, status=Status.KILLED, proof=Verdict.INCOMPLETE)
    assert (run.info.status, run.data.tags["proof"]) == ("KILLED", "incomplete")
    assert run.data.metrics["p99_ms/priority_3"] == 2.0


def test_a_link_compares_runs(store: Tracking) -> None:
    link = store.compare_link(["a", "b"])
    assert link.startswith("http://127.0.0.1:5000/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D")
    assert "experiments=" in link


def test_the_store_is_the_configured_one_else_the_environments_else_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert uri(None, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert uri(None, tmp_path) == "http://server"
    assert uri("http://mine", tmp_path) == "http://mine"
