"""Runs that an MLflow store has, read back: the counterpart of `runner.runs.tracking`."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.errors import UserError
from runner.runs import files, store
from runner.runs.record import Entry
from runner.runs.run import Run, read_run
from runner.runs.tracking import ARM_TAG, FOLDER_TAG, PARENT_TAG, SWEEP_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Reader:
    """The runs in an MLflow store; importing MLflow takes a second, so only if it is asked."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri
        self._client: MlflowClient | None = None

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
                    said = store.first_line(error)
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
        older = {entry.mlflow_run_id: entry for entry in entries if entry.mlflow_run_id}
        by_folder = {entry.folder: entry for entry in entries}
        client = self._open()
        children = client.search_runs(
            [client.get_run(run_id).info.experiment_id],
            f"tags.`{PARENT_TAG}` = '{run_id}'",
            order_by=["attributes.start_time ASC"],
        )
        ids = {Path(run.data.tags.get(FOLDER_TAG, "")).name: run.info.run_id for run in children}
        return older | {id: by_folder[folder] for folder, id in ids.items() if folder in by_folder}

    @property
    def _where(self) -> str:
        return f"tracking store: {self._uri}"

    def _open(self) -> "MlflowClient":
        if self._client is None:
            self._uri = store.uri(self._uri, Path("outputs"))
            file = store.sqlite_file(self._uri)
            if file and not file.exists():
                problem = f"there is no tracking store at {self._uri}"
                raise UserError("", "", problem, remedy="--uri says where it is")
            try:
                self._client = store.connect(self._uri)
            except Exception as error:  # as above
                raise UserError("", "", store.explained(self._uri, error)) from error
        return self._client
