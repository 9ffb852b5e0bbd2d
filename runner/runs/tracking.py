"""MLflow: one run a trial, logged after its folder is complete. Needs no more than mlflow-skinny,
sqlalchemy and alembic; imported late, because importing it takes a second."""

import json
import logging
import math
import os
import time
import urllib.parse
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.schema import Config
from runner.metrics.percentiles import percentiles
from runner.metrics.requests import TaskRequests

if TYPE_CHECKING:
    from mlflow import MlflowClient

CDF_PERCENTILES = range(1, 101)
PARAMS_PER_CALL = 100
METRICS_PER_CALL = 1000
#: Parts of the resolved configuration that are no parameters of the measurement.
NO_PARAMS = ("output_root", "tracking", "expect", "sweep", "dry_run")
#: Without it the UI takes the experiment for one of language models and opens an empty page.
EXPERIMENT_KIND = "mlflow.experimentKind"
UI = "http://127.0.0.1:5000"


@dataclass
class Tracking:
    """A tracking store and an experiment in it; made without importing MLflow."""

    uri: str
    experiment: str
    _client: "MlflowClient | None" = None
    _experiment_id: str = ""

    def prepare(self) -> None:
        """Import MLflow and create database and experiment, once, before the first window."""
        if self._client is not None:
            return
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        # A server that is away: say so within seconds, not after minutes of retries.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        warnings.filterwarnings("ignore", module="mlflow")
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)

        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name(self.experiment)
        if experiment is None:
            self._experiment_id = client.create_experiment(
                self.experiment,
                artifact_location=self._artifacts(),
                tags={EXPERIMENT_KIND: "custom_model_development"},
            )
        else:
            self._experiment_id = experiment.experiment_id
        self._client = client

    def prepare_if_there(self) -> None:
        """`prepare`, but a store that is away is told only when the run is to be logged: it is no
        reason to lose the trial."""
        with suppress(Exception):
            self.prepare()

    def _artifacts(self) -> str | None:
        """Beside the database for SQLite; a server keeps them where it likes."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return (Path(self.uri.removeprefix("sqlite:///")).parent / "artifacts").absolute().as_uri()

    def log(
        self,
        folder: Path,
        summary: dict[str, Any],
        params: dict[str, Any],
        requests: list[TaskRequests],
        commit: str,
        device: Sequence[tuple[str, float, int, int]] = (),
    ) -> str:
        """Log a finished folder; returns the MLflow run's id. device: telemetry as (name, value,
        milliseconds since 1970, step)."""
        from mlflow.entities import Metric, Param, RunTag

        self.prepare()
        assert self._client is not None
        now = int(time.time() * 1000)
        run = self._client.create_run(
            self._experiment_id,
            run_name=summary["name"],
            start_time=now - int(summary["window_s"] * 1000),
        )
        run_id: str = run.info.run_id
        flat = [Param(k, str(v)[:6000]) for k, v in flatten(params).items()]
        tags = [RunTag(k, str(v)[:5000]) for k, v in _tags(summary, commit).items()]
        shown = summary["status"] != "FAILED"
        figures = [Metric(k, v, now, 0) for k, v in _metrics(summary).items()] if shown else []
        cdf = [
            Metric(f"cdf/{task.name}", value, now, percent)
            for task in requests
            if shown and len(task.response_ms)
            for percent, value in zip(
                CDF_PERCENTILES, percentiles(task.response_ms, *CDF_PERCENTILES), strict=True
            )
        ]
        # The compare page preselects the metric that was logged first.
        for at in range(0, len(figures), METRICS_PER_CALL):
            self._client.log_batch(run_id, metrics=figures[at : at + METRICS_PER_CALL])
        for at in range(0, max(len(flat), 1), PARAMS_PER_CALL):
            self._client.log_batch(run_id, params=flat[at : at + PARAMS_PER_CALL], tags=tags)
        curves = [*cdf, *(Metric(*each) for each in device)]
        for at in range(0, len(curves), METRICS_PER_CALL):
            self._client.log_batch(run_id, metrics=curves[at : at + METRICS_PER_CALL])
        self._client.log_artifacts(run_id, str(folder))
        self._client.set_terminated(run_id, status=summary["status"])
        return run_id

    def log_sweep(self, folder: Path, run_ids: list[str]) -> None:
        """A run for the sweep as a whole, parent of these: what it comes to as artifacts."""
        self.prepare()
        assert self._client is not None
        tags = {"mlflow.runName": folder.name, "sweep": folder.name}
        parent = self._client.create_run(self._experiment_id, tags=tags).info.run_id
        for path in sorted(folder.iterdir()):
            if path.is_file():
                self._client.log_artifact(parent, str(path))
        if (folder / "report").is_dir():
            self._client.log_artifacts(parent, str(folder / "report"), "report")
        for run_id in run_ids:
            self._client.set_tag(run_id, "mlflow.parentRunId", parent)
        self._client.set_terminated(parent)

    def compare_link(self, run_ids: list[str]) -> str:
        """A link that opens the comparison of these runs, in the server's UI or in `make ui`'s."""
        self.prepare()
        base = self.uri.rstrip("/") if self.uri.startswith("http") else UI
        runs = urllib.parse.quote(json.dumps(run_ids, separators=(",", ":")))
        experiments = urllib.parse.quote(json.dumps([self._experiment_id], separators=(",", ":")))
        return f"{base}/#/compare-runs?runs={runs}&experiments={experiments}"


class NoTracking:
    """tracking=none: folders alone."""

    def prepare_if_there(self) -> None: ...

    def log(self, *_: Any) -> None: ...

    def log_sweep(self, *_: Any) -> None: ...

    def compare_link(self, run_ids: list[str]) -> str:
        return ""


Store = Tracking | NoTracking


def open_store(config: Config) -> Store:
    """Where this configuration logs to; one connection a store and experiment."""
    if config.tracking.backend == "none":
        return NoTracking()
    return _tracking(
        uri(config.tracking.uri, Path(config.output_root)),
        config.tracking.experiment or config.task_set.name,
    )


_tracking = cache(Tracking)


def uri(configured: str | None, output_root: Path) -> str:
    """The store: as configured, else MLFLOW_TRACKING_URI, else SQLite below the output folder."""
    if chosen := configured or os.environ.get("MLFLOW_TRACKING_URI"):
        return chosen
    return f"sqlite:///{(output_root / 'mlflow.db').absolute()}"


def flatten(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters with dotted names; those that are null say nothing and are left out."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if not prefix and name in NO_PARAMS:
            continue
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat


def _metrics(summary: dict[str, Any]) -> dict[str, float]:
    """The urgent priority's p99 first, then the others, then tasks; sections by the slash. Tasks
    have fewer figures than priorities, and p99 alone an interval: a page of charts has its limits.
    """
    metrics: dict[str, float] = {}
    for priority, figures in summary["priorities"].items():
        latency = figures["latency_ms"]
        first = {"p99": latency["p99"]} if "p99" in latency else {}
        metrics |= _labelled(first | latency, figures["throughput_rps"], f"priority_{priority}")
        low, high = figures.get("latency_interval_ms", {}).get("p99") or (math.nan, math.nan)
        metrics |= {
            f"p99_ms_low/priority_{priority}": low,
            f"p99_ms_high/priority_{priority}": high,
        }
    for name, figures in summary["tasks"].items():
        latency = figures["latency_ms"]
        few = {figure: latency[figure] for figure in ("p99", "p50", "max") if figure in latency}
        metrics |= _labelled(few, figures["throughput_rps"], name)
    for name in ("window_s", "saturation", "preemptions"):
        metrics[name] = math.nan if summary[name] is None else summary[name]
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _labelled(latency: dict[str, float], throughput: float, label: str) -> dict[str, float]:
    named = {f"{figure}_ms/{label}": value for figure, value in latency.items()}
    return named | {f"throughput_rps/{label}": throughput}


def _tags(summary: dict[str, Any], commit: str) -> dict[str, Any]:
    tags = {
        name: summary[name]
        for name in (
            "arm",
            "platform",
            "placement",
            "proof",
            "valid",
            "preemptions",
            "config_hash",
            "sweep",
        )
    }
    return tags | {
        "effective_level": summary["level"],
        "asked_level": summary["asked_level"],
        "priority": summary["priority"],
        "saturation": f"{summary['saturation']:.2f}",
        "reason": summary["reason"],
        "notes": " ".join(summary["notes"]),
        "throttled": ", ".join(summary["device"].get("throttled", [])) or "no",
        "mlflow.source.git.commit": commit,
        "mlflow.note.content": " ".join(filter(None, [summary["reason"], *summary["notes"]])),
    }
