"""Runs that have ended, read back from an MLflow store."""

import os
import tempfile
from pathlib import Path
from typing import Any

from runner.config.errors import UserError
from runner.runs.files import SUMMARY
from runner.runs.record import CONFIG, REQUESTS, SWEEP, RunRecord, entries_of, record_of

#: What the runner's runs have in MLflow, and the parent of a sweep has not.
ARM_TAG = "arm"


class Store:
    """An MLflow store; importing MLflow takes a second, so only if it is asked for something."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri
        self._client: Any = None

    def runs(self, run_id: str) -> list[RunRecord]:
        """The run, or those of the sweep that it is the parent of."""
        entries = self._entries(run_id)
        if entries:
            return [self._record(each, entry) for each, entry in entries.items()]
        return [self._record(run_id, {})]

    def experiment(self, name: str) -> list[list[RunRecord]]:
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
        sweeps: dict[str, dict[str, RunRecord]] = {}
        for run in runs:
            if run.info.run_id in parents:
                continue
            record = self._record(run.info.run_id, said.get(run.info.run_id, {}))
            # A sweep that was resumed has the same folder again; the later run supersedes.
            place = str(record.summary.get("folder", run.info.run_id))
            sweeps.setdefault(run.data.tags.get("sweep", ""), {})[place] = record
        if not sweeps:
            raise UserError("experiment", name, "has no runs", remedy=self._where)
        return [list(each.values()) for each in sweeps.values()]

    def _record(self, run_id: str, entry: dict[str, Any]) -> RunRecord:
        """A run whose artifacts are downloaded."""
        held = tempfile.TemporaryDirectory(prefix="xsched-runner-")
        for name in (SUMMARY, CONFIG, REQUESTS, "provenance.json", "proof.json", "events.parquet"):
            try:
                self._open().download_artifacts(run_id, name, held.name)
            except UserError:
                raise
            except Exception as error:  # as above
                if name == SUMMARY:
                    said = str(error).partition("\n")[0]
                    problem = f"MLflow run {run_id} cannot be read: {said}"
                    raise UserError("", "", problem, remedy=self._where) from error
        return record_of(Path(held.name), entry, held)

    def _entries(self, run_id: str) -> dict[str, dict[str, Any]]:
        """What a sweep's parent run says of its runs, by id; {} for any other run."""
        with tempfile.TemporaryDirectory(prefix="xsched-runner-") as folder:
            try:
                self._open().download_artifacts(run_id, SWEEP, folder)
            except UserError:
                raise
            except Exception:  # as above; if the run is not there, its own artifacts will tell
                return {}
            entries = entries_of(Path(folder)).values()
        return {id: entry for entry in entries if (id := entry.get("mlflow_run_id"))}

    @property
    def _where(self) -> str:
        return f"tracking store: {self._uri}"

    def _open(self) -> Any:
        if self._client is None:
            from runner.runs import tracking

            self._uri = tracking.uri(self._uri, Path("outputs"))
            file = self._uri.removeprefix("sqlite:///")
            if file != self._uri and not Path(file).exists():
                raise UserError("", "", f"there is no tracking store at {self._uri}")
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self._uri)
        return self._client
