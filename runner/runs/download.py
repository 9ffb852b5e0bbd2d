"""Runs that an MLflow store has, read back: the counterpart of `runner.runs.tracking`."""

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.errors import UserError
from runner.runs import files, store
from runner.runs.record import Entry
from runner.runs.run import Run, read_run
from runner.runs.tracking import ARM_TAG, FOLDER_TAG, PARENT_TAG, SWEEP_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Logged


#: A server takes most of the time over each request, of which it answers several at once.
AT_ONCE = 16


class Reader:
    """The runs in an MLflow store; importing MLflow takes a second, so only if it is asked."""

    def __init__(self, uri: str | None) -> None:
        self._uri = uri
        self._client: MlflowClient | None = None

    def runs(self, run_id: str) -> list[Run]:
        """The run, or those of the sweep that it is the parent of."""
        given = self._found(run_id)
        of_sweep = self._entries(given)
        return self._downloaded(of_sweep or [(given, None)])

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
        logged = self._search(found.experiment_id)
        parents = [run for run in logged if ARM_TAG not in run.data.tags]
        said = {
            run.info.run_id: entry for parent in parents for run, entry in self._entries(parent)
        }
        runs = [run for run in logged if ARM_TAG in run.data.tags]
        downloaded = self._downloaded([(run, said.get(run.info.run_id)) for run in runs])
        sweeps: dict[str, dict[str, Run]] = {}
        for run, sweep, made in zip(runs, _sweeps_of(runs), downloaded, strict=True):
            # A sweep that was resumed has the same folder again; the later run supersedes.
            place = made.summary.folder or run.info.run_id
            sweeps.setdefault(sweep, {})[place] = made
        if not sweeps:
            raise UserError("experiment", name, "has no runs", remedy=self._where)
        return [list(each.values()) for each in sweeps.values()]

    def _downloaded(self, runs: Sequence[tuple["Logged", Entry | None]]) -> list[Run]:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda each: self._run(*each), runs))

    def _run(self, logged: "Logged", entry: Entry | None) -> Run:
        """A run whose artifacts are downloaded."""
        held = tempfile.TemporaryDirectory(prefix="xsched-runner-")
        artifacts = self._artifacts(logged)
        folder = Path(held.name)
        try:
            artifacts._download_file(files.SUMMARY, str(folder / files.SUMMARY))
        except Exception as error:  # as above
            raise self._unreadable(logged.info.run_id, error) from error
        summary = files.read_summary(folder)
        for name in files.others_of(summary):
            with suppress(Exception):  # a run without one of its files says so
                artifacts._download_file(name, str(folder / name))
        return read_run(folder, entry, held)

    def _artifacts(self, logged: "Logged") -> Any:
        """Has ``_download_file``, which is one request. MLflow's public function asks first where
        the run's artifacts are, and for each whether it is a folder."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(logged.info.artifact_uri, tracking_uri=self._uri)

    def _entries(self, parent: "Logged") -> list[tuple["Logged", Entry]]:
        """The runs of a sweep with what its parent run says of them; [] for any other run."""
        with tempfile.TemporaryDirectory(prefix="xsched-runner-") as folder:
            try:
                self._artifacts(parent)._download_file(files.SWEEP, f"{folder}/{files.SWEEP}")
            except Exception:  # as above; it is no parent
                return []
            entries = files.read_sweep(Path(folder)).runs
        # The first version said where each is logged.
        older = {entry.mlflow_run_id: entry for entry in entries if entry.mlflow_run_id}
        found = {id: (self._found(id), entry) for id, entry in older.items()}
        by_folder = {entry.folder: entry for entry in entries}
        mine = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
        latest = {
            Path(run.data.tags.get(FOLDER_TAG, "")).name: run
            for run in self._search(parent.info.experiment_id, mine)
        }
        for name in filter(by_folder.get, latest):
            found[latest[name].info.run_id] = latest[name], by_folder[name]
        return list(found.values())

    def _search(self, experiment: str, wanted: str = "") -> list["Logged"]:
        """All runs, the oldest first; a store tells a thousand at a time."""
        order = ["attributes.start_time ASC"]
        search = partial(self._open().search_runs, [experiment], wanted, order_by=order)
        page = search()
        found = [*page]
        while page.token:
            page = search(page_token=page.token)
            found += page
        return found

    def _found(self, run_id: str) -> "Logged":
        client = self._open()
        try:
            return client.get_run(run_id)
        except Exception as error:  # as above
            raise self._unreadable(run_id, error) from error

    def _unreadable(self, run_id: str, error: Exception) -> UserError:
        problem = f"MLflow run {run_id} cannot be read: {store.first_line(error)}"
        return UserError("", "", problem, remedy=self._where)

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


def _sweeps_of(runs: Iterable["Logged"]) -> list[str]:
    """Of each run what is the same for those of its sweep alone: two that began in the same second
    in different places have one name. A run that was superseded before its sweep had a parent is of
    the same folder as the one that has."""
    told = [run.data.tags for run in runs]
    both = [tags for tags in told if PARENT_TAG in tags and FOLDER_TAG in tags]
    parents = {tags[FOLDER_TAG]: tags[PARENT_TAG] for tags in both}
    return [
        tags.get(PARENT_TAG)
        or parents.get(tags.get(FOLDER_TAG, ""))
        or str(Path(tags.get(FOLDER_TAG, "")).parent / tags.get(SWEEP_TAG, ""))
        for tags in told
    ]
