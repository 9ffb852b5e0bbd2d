"""MLflow: one run a trial, logged after its folder is complete, and read back. Needs no more than
mlflow-skinny, sqlalchemy and alembic; imported late, because importing it takes a second."""

import json
import logging
import math
import os
import tempfile
import time
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.metrics.percentiles import percentiles
from runner.metrics.requests import TaskRequests
from runner.runs import files
from runner.runs.record import Entry, Summary
from runner.runs.run import Run, read_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

CDF_PERCENTILES = range(1, 101)
PARAMS_PER_CALL = 100
METRICS_PER_CALL = 1000
#: Parts of the resolved configuration that are no parameters of the measurement.
NO_PARAMS = ("output_root", "tracking", "expect", "sweep", "dry_run")
#: Of a task; of priorities and the whole there is everything but service times.
OF_TASKS = ("p99_ms", "p50_ms", "max_ms", "throughput_rps")
NOT_LOGGED = "service_"
#: What the runner's runs have in MLflow, and the parent of a sweep has not.
ARM_TAG = "arm"
SWEEP_TAG = "sweep"
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

    def prepare(self) -> "MlflowClient":
        """Import MLflow and create database and experiment, once, before the first window."""
        if self._client is not None:
            return self._client
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
        return client

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
        summary: Summary,
        parameters: Mapping[str, Any],
        requests: Sequence[TaskRequests],
        commit: str,
        device: Sequence[tuple[str, float, int, int]] = (),
    ) -> str:
        """Log a finished folder; returns the MLflow run's id. parameters: by dotted key. device:
        telemetry as (name, value, milliseconds since 1970, step)."""
        from mlflow.entities import Metric, Param, RunTag

        client = self.prepare()
        now = int(time.time() * 1000)
        began = now - int((summary.window_s or 0) * 1000)
        run = client.create_run(self._experiment_id, run_name=summary.name, start_time=began)
        run_id: str = run.info.run_id
        params = [Param(k, str(v)[:6000]) for k, v in parameters.items() if _is_param(k, v)]
        tags = [RunTag(k, str(v)[:5000]) for k, v in _tags(summary, commit).items()]
        shown = summary.status.has_figures
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
        for part in _parts(figures, METRICS_PER_CALL):
            client.log_batch(run_id, metrics=part)
        client.log_batch(run_id, tags=tags)
        for part in _parts(params, PARAMS_PER_CALL):
            client.log_batch(run_id, params=part)
        for part in _parts([*cdf, *(Metric(*each) for each in device)], METRICS_PER_CALL):
            client.log_batch(run_id, metrics=part)
        client.log_artifacts(run_id, str(folder))
        client.set_terminated(run_id, status=summary.status.value)
        return run_id

    def log_sweep(self, folder: Path, run_ids: list[str]) -> None:
        """A run for the sweep as a whole, parent of these: what it comes to as artifacts."""
        client = self.prepare()
        tags = {"mlflow.runName": folder.name, "sweep": folder.name}
        parent = client.create_run(self._experiment_id, tags=tags).info.run_id
        for path in sorted(folder.iterdir()):
            if path.is_file():
                client.log_artifact(parent, str(path))
        if (folder / "report").is_dir():
            client.log_artifacts(parent, str(folder / "report"), "report")
        for run_id in run_ids:
            client.set_tag(run_id, "mlflow.parentRunId", parent)
        client.set_terminated(parent)

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


def _is_param(key: str, value: object) -> bool:
    """Null says nothing."""
    return value is not None and key.partition(".")[0] not in NO_PARAMS


def _parts(whole: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


def _metrics(summary: Summary) -> dict[str, float]:
    """The urgent priority's p99 first, then what else there is of priorities and of the whole, then
    tasks, with fewer figures: a page of charts has its limits. A figure's name is a section of the
    page by its slash."""
    first = [f"p99_ms/priority_{priority}" for priority in summary.priorities]
    found = {name: summary.figures[name] for name in first if name in summary.figures}
    metrics = {name: figure.value for name, figure in found.items()}
    for name, figure in summary.figures.items():
        tag, _, scope = name.partition("/")
        if not tag.startswith(NOT_LOGGED) and (scope not in summary.tasks or tag in OF_TASKS):
            metrics.setdefault(name, figure.value)
    for name, figure in found.items():
        low, high = figure.interval or (None, None)
        _, _, scope = name.partition("/")
        metrics |= {
            f"p99_ms_low/{scope}": math.nan if low is None else low,
            f"p99_ms_high/{scope}": math.nan if high is None else high,
        }
    if summary.window_s is not None:
        metrics["window_s"] = summary.window_s
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _tags(summary: Summary, commit: str) -> dict[str, Any]:
    saturation = math.nan if summary.saturation is None else summary.saturation
    said = " ".join(summary.notes)
    return {
        ARM_TAG: summary.arm,
        "platform": summary.platform,
        "placement": summary.placement,
        "proof": summary.proof,
        "valid": summary.valid,
        "preemptions": summary.preemptions,
        "config_hash": summary.config_hash,
        SWEEP_TAG: summary.sweep,
        "effective_level": summary.level,
        "asked_level": summary.asked_level,
        "priority": summary.priority,
        "saturation": f"{saturation:.2f}",
        "reason": summary.reason,
        "notes": said,
        "throttled": ", ".join(summary.device.throttled) or "no",
        "mlflow.source.git.commit": commit,
        "mlflow.note.content": " ".join(filter(None, [summary.reason, said])),
    }


# --- reading back --------------------------------------------------------------------------------


class Reader:
    """The runs in an MLflow store; importing MLflow takes a second, so only if it is asked."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri
        self._client: Any = None

    def runs(self, run_id: str) -> list[Run]:
        """The run, or those of the sweep that it is the parent of."""
        entries = self._entries(run_id)
        if entries:
            return [self._run(each, entry) for each, entry in entries.items()]
        return [self._run(run_id, None)]

    def experiment(self, name: str) -> list[list[Run]]:
        """The runs of an experiment, the oldest first, a list for each sweep."""
        client = self._open()
        try:
            found = client.get_experiment_by_name(name)
            known = [each.name for each in client.search_experiments()]
        except Exception as error:  # any of MLflow's, its database's and its HTTP client's
            raise UserError("", "", f"no tracking store there: {error}", (), self._where) from error
        if found is None:
            raise UserError("experiment", name, "is not there", known, self._where)
        runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"])
        parents = [run.info.run_id for run in runs if ARM_TAG not in run.data.tags]
        said = {id: entry for parent in parents for id, entry in self._entries(parent).items()}
        sweeps: dict[str, dict[str, Run]] = {}
        for run in runs:
            if run.info.run_id in parents:
                continue
            found_run = self._run(run.info.run_id, said.get(run.info.run_id))
            # A sweep that was resumed has the same folder again; the later run supersedes.
            place = found_run.summary.folder or run.info.run_id
            sweeps.setdefault(run.data.tags.get(SWEEP_TAG, ""), {})[place] = found_run
        if not sweeps:
            raise UserError("experiment", name, "has no runs", remedy=self._where)
        return [list(each.values()) for each in sweeps.values()]

    def _run(self, run_id: str, entry: Entry | None) -> Run:
        """A run whose artifacts are downloaded."""
        held = tempfile.TemporaryDirectory(prefix="xsched-runner-")
        for name in files.OF_A_RUN:
            try:
                self._open().download_artifacts(run_id, name, held.name)
            except UserError:
                raise
            except Exception as error:  # as above
                if name == files.SUMMARY:
                    said = str(error).partition("\n")[0]
                    problem = f"MLflow run {run_id} cannot be read: {said}"
                    raise UserError("", "", problem, remedy=self._where) from error
        return read_run(Path(held.name), entry, held)

    def _entries(self, run_id: str) -> dict[str, Entry]:
        """What a sweep's parent run says of its runs, by id; {} for any other run."""
        with tempfile.TemporaryDirectory(prefix="xsched-runner-") as folder:
            try:
                self._open().download_artifacts(run_id, files.SWEEP, folder)
            except UserError:
                raise
            except Exception:  # as above; if the run is not there, its own artifacts will tell
                return {}
            entries = files.read_sweep(Path(folder)).runs
        return {entry.mlflow_run_id: entry for entry in entries if entry.mlflow_run_id}

    @property
    def _where(self) -> str:
        return f"tracking store: {self._uri}"

    def _open(self) -> Any:
        if self._client is None:
            self._uri = uri(self._uri, Path("outputs"))
            file = self._uri.removeprefix("sqlite:///")
            if file != self._uri and not Path(file).exists():
                raise UserError("", "", f"there is no tracking store at {self._uri}")
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self._uri)
        return self._client
