"""MLflow: one run a trial, and one a sweep of several. Everything comes from the folder, so logging
at once and logging later are the same; a folder's ``mlflow.json`` says where it is logged."""

import fcntl
import getpass
import hashlib
import math
import os
import platform
import shlex
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.schema import Config
from runner.config.settings import CALLED_BY
from runner.metrics.percentiles import percentiles
from runner.platforms.gpu.telemetry import system_metrics
from runner.runs import files, store, view
from runner.runs.record import Conclusion, Logged, Summary
from runner.runs.run import Run
from runner.runs.sweep import Sweep
from runner.trial import interruption

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, RunInfo

CDF_PERCENTILES = range(1, 101)
PARAMS_PER_CALL = 100
METRICS_PER_CALL = 1000
#: Parts of the resolved configuration that are no parameters of the measurement.
NO_PARAMS = ("output_root", "tracking", "expect", "sweep", "dry_run", "repeat")
#: Of a task; of priorities and the whole there is everything but service times.
OF_TASKS = ("p99_ms", "p50_ms", "max_ms", "throughput_rps")
NOT_LOGGED = "service_"
#: What the runner's runs have in MLflow, and the parent of a sweep has not.
ARM_TAG = "arm"
SWEEP_TAG = "sweep"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
#: What finds a folder's runs again: its place, what was measured (the identity of a sweep), and a
#: checksum of the result.
FOLDER_TAG, IDENTITY_TAG, RESULT_TAG = "folder", "config_hash", "result"
#: Of a run that is about to be deleted, in place of its result.
DISCARDED = "discarded"
#: The experiment of runs that failed before they had a configuration.
UNNAMED = "failed"
#: A server that cannot be used is looked at again after so long.
AGAIN_S = 60.0
#: In a sweep's folder while its jobs run and the store cannot be used.
UNUSABLE = ".mlflow_unusable"
#: Without it the UI takes the experiment for one of language models and opens an empty page.
EXPERIMENT_KIND = "mlflow.experimentKind"


@dataclass
class Tracking:
    """A tracking store; made without importing MLflow. What goes wrong is returned in a line and
    not raised: nothing that was measured is lost for it. experiment: that of all runs, None for
    what their configuration says, else their task set's name. trouble: why the store cannot be
    used; it is not asked again then."""

    uri: str
    experiment: str | None = None
    trouble: str = ""
    _client: "MlflowClient | None" = None
    _looked_s: float = -math.inf

    def reach(self) -> str:
        """Look at the store again, for three seconds at most, but for a server that was in trouble
        a moment ago; returns its trouble."""
        lately = time.monotonic() - self._looked_s < AGAIN_S
        if not (self.trouble and lately and store.is_server(self.uri)):
            self.trouble = store.trouble(self.uri)
            self._looked_s = time.monotonic()
        return self.trouble

    def tell(self, sweep: Path) -> None:
        """Leave word of its trouble in a sweep's folder, for jobs in other processes, which would
        wait for it each; or that there is none. Without word they find out."""
        forget(sweep)
        with suppress(OSError):
            if self.trouble:
                (sweep / UNUSABLE).write_text(self.trouble)

    def hear(self, sweep: Path) -> None:
        """What was told in the sweep's folder: the store is not asked again then."""
        with suppress(OSError, ValueError):
            self.trouble = self.trouble or (sweep / UNUSABLE).read_text()

    def prepare(self) -> str:
        """Import MLflow and create the database, once, before the first window; returns the
        store's trouble."""
        if self._client is None and not self.trouble and not self.reach():
            try:
                with interruption.kept():
                    self._client = store.connect(self.uri)
            except Exception as error:  # any of MLflow's, its database's and its HTTP client's
                self.trouble = store.explained(self.uri, error)
        return self.trouble

    def has(self, folder: Path) -> bool:
        """Whether the folder says that it is logged here."""
        logged = files.read_logged(folder)
        return logged is not None and logged.uri == store.shown(self.uri)

    def log(self, run: Run) -> str:
        """Log a run that has ended, unless it is logged; returns why it is not."""
        return "" if self.has(run.folder) else self._try(run.folder, partial(self._log, run))

    def withdraw(self, folder: Path) -> str:
        """Delete the run of a folder that another run is to take the place of, if it is logged
        here; returns why it could not be."""
        logged = files.read_logged(folder)
        if logged is None or not self.has(folder) or self.prepare():
            return self.trouble
        assert self._client is not None
        try:
            _discard(self._client, logged.run_id)
        except Exception as error:  # as below
            return self.trouble or self.reach() or store.first_line(error)
        return ""

    def log_sweep(self, sweep: Sweep) -> str:
        """Log what the sweep comes to: a run that is the parent of its runs. Returns why not."""
        assert sweep.folder is not None
        return self._try(sweep.folder, partial(self._log_sweep, sweep, sweep.folder))

    def _try(self, folder: Path, log: Callable[["MlflowClient"], Logged]) -> str:
        if self.prepare():
            return self.trouble
        assert self._client is not None
        try:
            with _alone(folder):
                files.write_json(folder / files.LOGGED, log(self._client))
        except Exception as error:  # as above
            return self.trouble or self.reach() or store.first_line(error)
        return ""

    # ------------------------------------------------------------------------ a run

    def _log(self, run: Run, client: "MlflowClient") -> Logged:
        from mlflow.entities import Param, RunTag

        began_ms, ended_ms = _times_ms(run)
        result = (run.folder / files.SUMMARY).read_bytes()
        identity = _identity(run.folder, run.summary.config_hash, result)
        experiment = self._experiment_of(client, run)
        if known := self._finished(client, experiment, identity, run.summary.mlflow_run_id):
            return self._logged(known, experiment)
        figures, more = _metrics_of(run, ended_ms)
        tags = [RunTag(k, str(v)[:5000]) for k, v in _tags(run).items()]
        params = [Param(k, str(v)[:6000]) for k, v in _params(run).items()]
        made = client.create_run(experiment, began_ms, identity, run.name).info
        run_id = made.run_id
        with self._whole_or_not_there(client, run_id):
            # The compare page preselects the metric that was logged first.
            for part in _parts(figures, METRICS_PER_CALL):
                client.log_batch(run_id, metrics=part)
            client.log_batch(run_id, tags=tags)
            for part in _parts(params, PARAMS_PER_CALL):
                client.log_batch(run_id, params=part)
            for part in _parts(more, METRICS_PER_CALL):
                client.log_batch(run_id, metrics=part)
            _keep_files(client, made, run.folder)
            client.set_terminated(run_id, run.status.value, ended_ms)
        return self._logged(run_id, experiment)

    def _logged(self, run_id: str, experiment: str) -> Logged:
        return Logged(run_id, store.shown(self.uri), experiment)

    def _experiment_of(self, client: "MlflowClient", run: Run) -> str:
        """The id of a run's experiment, which is created if it is not there."""
        from mlflow.exceptions import MlflowException

        configured = self.experiment or run.parameters.get("tracking.experiment")
        name = str(configured or run.task_set or UNNAMED)
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        tags = {EXPERIMENT_KIND: "custom_model_development"}
        try:
            return client.create_experiment(name, store.artifacts(self.uri), tags)
        except MlflowException:
            # Another process has created it meanwhile.
            if found := client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def _finished(
        self,
        client: "MlflowClient",
        experiment: str,
        identity: Mapping[str, str],
        known: str | None = None,
    ) -> str | None:
        """The run that has this result already, if there is one. What a process that was killed
        left unfinished of the folder or the result is deleted."""
        from mlflow.entities import RunStatus

        finished = None
        same = f"tags.{IDENTITY_TAG} = '{identity[IDENTITY_TAG]}'"
        for found in client.search_runs([experiment], same):
            run_id, tags = found.info.run_id, found.data.tags
            if tags.get(RESULT_TAG) == DISCARDED:
                _discard(client, run_id)
                continue
            has_it = run_id == known or tags.get(RESULT_TAG) == identity[RESULT_TAG]
            if RunStatus.is_terminated(RunStatus.from_string(found.info.status)):
                finished = run_id if has_it else finished
            elif has_it or tags.get(FOLDER_TAG) == identity[FOLDER_TAG]:
                _discard(client, run_id)
        return finished

    @contextmanager
    def _whole_or_not_there(self, client: "MlflowClient", run_id: str) -> Iterator[None]:
        """Of a run that could not be logged whole nothing stays; if the store is away, the next
        logging finds it."""
        try:
            yield
        except BaseException:
            with suppress(Exception):
                if not self.reach():
                    _discard(client, run_id)
            raise

    # ---------------------------------------------------------------------- a sweep

    def _log_sweep(self, sweep: Sweep, folder: Path, client: "MlflowClient") -> Logged:
        experiment = self._experiment_of(client, next((r for r in sweep if r.task_set), sweep[0]))
        place = str(folder.absolute()).encode(errors="surrogateescape")
        identity = _identity(folder, sweep.record.identity, place)
        if known := self._finished(client, experiment, identity):
            self._fill_parent(client, known, sweep, folder)
            return self._logged(known, experiment)
        began_ms, _ = _window_ms(sweep)
        tags = {**identity, SWEEP_TAG: sweep.name, **_origin(sweep.record.command)}
        parent = client.create_run(experiment, began_ms, tags, sweep.name).info.run_id
        with self._whole_or_not_there(client, parent):
            self._fill_parent(client, parent, sweep, folder)
        return self._logged(parent, experiment)

    def _fill_parent(self, client: "MlflowClient", parent: str, sweep: Sweep, folder: Path) -> None:
        """What the sweep comes to now, in place of what it came to before."""
        from mlflow.entities import Metric

        _, ended_ms = _window_ms(sweep)
        found = files.read_conclusion(folder)
        client.set_tag(parent, NOTE_TAG, _note(sweep.record.command, found, parent))
        # The store takes the latest, and of equally late ones the largest.
        at_ms = _written_ms(folder / files.CONCLUDED) if found.metrics else ended_ms
        gone = client.get_run(parent).data.metrics.keys() - found.metrics.keys()
        known = {**dict.fromkeys(gone, math.nan), **found.metrics}
        metrics = [Metric(name, value, at_ms, 0) for name, value in known.items()]
        for part in _parts(metrics, METRICS_PER_CALL):
            client.log_batch(parent, metrics=part)
        made = client.get_run(parent).info
        _keep_files(client, made, folder, "*")
        _keep_files(client, made, folder, f"{files.REPORT}/**/*")
        for run in sweep:
            if self.has(run.folder) and (logged := files.read_logged(run.folder)):
                client.set_tag(logged.run_id, PARENT_TAG, parent)
        page = view.described(parent, _swept(sweep), found.primary)
        client.set_experiment_tag(made.experiment_id, f"{view.SHARED}{parent}", page)
        client.set_terminated(parent, end_time=ended_ms)


#: None of tracking=none: folders alone.
Store = Tracking | None


def open_store(config: Config) -> Store:
    """Where this configuration logs to; one connection a store and experiment. Raises `UserError`
    for a kind of store that MLflow does not know."""
    uri = store.configured(config)
    return _tracking(uri, config.tracking.experiment) if uri else None


_tracking = cache(Tracking)


def forget(sweep: Path) -> None:
    """The jobs have ended: the store is asked again."""
    with suppress(OSError):
        (sweep / UNUSABLE).unlink(missing_ok=True)


def log_missing(sweep: Sweep, to: Store) -> list[str]:
    """Log what a sweep's folder has and the store has not: its runs, and what it comes to. Nothing
    is run. Returns what could not be logged, a line each, or the one that says why nothing can."""
    if to is None:
        return []
    ended = [run for run in sweep if _has_ended(run)]
    new = [run for run in ended if not to.has(run.folder)]
    several = sweep.folder is not None and len(ended) > 1
    if not new and not (several and _is_behind(sweep, to)):
        return []
    if trouble := to.reach():
        return [trouble]
    problems = []
    for run in new:
        if problem := to.log(run):
            problems.append(f"{run.name}: {problem}")
        if to.trouble:
            return [to.trouble]
    if several and (problem := to.log_sweep(sweep)):
        problems.append(problem)
    return problems


def _is_behind(sweep: Sweep, to: Tracking) -> bool:
    """Whether a sweep has conclusions that are not logged."""
    assert sweep.folder is not None
    if not to.has(sweep.folder):
        return True
    logged_ns = (sweep.folder / files.LOGGED).stat().st_mtime_ns
    concluded = sweep.folder / files.CONCLUDED
    return concluded.is_file() and concluded.stat().st_mtime_ns > logged_ns


def _times_ms(run: Run) -> tuple[int, int]:
    """The time of day at which the run's window had begun, and at which it had ended."""
    ended_ms = _written_ms(run.folder / files.SUMMARY)
    if run.provenance.is_known:
        ended_ms = int(datetime.fromisoformat(run.provenance.time).timestamp() * 1000)
    return ended_ms - int((run.summary.window_s or 0) * 1000), ended_ms


def _identity(folder: Path, measured: str, result: bytes) -> dict[str, str]:
    """The tags that a run has from its first moment on."""
    return {
        FOLDER_TAG: f"{platform.node()}:{folder.absolute()}"[-5000:],
        IDENTITY_TAG: measured,
        RESULT_TAG: hashlib.sha256(result).hexdigest(),
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time logs a folder; without locks, as on some network disks, at its own
    risk. Ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keep_files(client: "MlflowClient", of: "RunInfo", folder: Path, pattern: str = "**/*") -> None:
    """Have the run keep files of a folder. A store on the same disk has a second name for each, and
    no second copy; what is deleted there stays here."""
    local = store.local_path(of.artifact_uri)
    for path in sorted(folder.glob(pattern)):
        if not path.is_file() or path.name == files.LOGGED:
            continue
        inner = path.relative_to(folder)
        if not (local and _link(path, local / inner)):
            place = inner.parent.as_posix()
            client.log_artifact(of.run_id, str(path), None if place == "." else place)


def _link(path: Path, other: Path) -> bool:
    """Give a file another name, in place of what has it; whether that can be done here."""
    try:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.unlink(missing_ok=True)  # nothing is ever written through it
        os.link(path, other)
    except OSError:  # another disk, or somebody else's file
        return False
    return True


def _discard(client: "MlflowClient", run_id: str) -> None:
    """Deleted runs are kept by MLflow for a while: they are to have ended, too. Between the two it
    has no result that anybody could take for whole."""
    client.set_tag(run_id, RESULT_TAG, DISCARDED)
    client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


def _metrics_of(run: Run, ended_ms: int) -> tuple[list["Metric"], list["Metric"]]:
    """Figures, and what is drawn over a step: the distribution's percentiles, telemetry."""
    from mlflow.entities import Metric

    telemetry = run.folder / files.TELEMETRY
    device = [Metric(*each) for each in system_metrics(telemetry)]
    if not run.status.has_figures:
        return [], device
    figures = [Metric(k, v, ended_ms, 0) for k, v in _metrics(run.summary).items()]
    cdf = [
        Metric(f"cdf/{name}", value, ended_ms, percent)
        for name, task in run.tasks.items()
        for percent, value in zip(
            CDF_PERCENTILES, percentiles(task.response_ms, *CDF_PERCENTILES), strict=True
        )
    ]
    return figures, [*cdf, *device]


def _parts(whole: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


def _metrics(summary: Summary) -> dict[str, float]:
    """The urgent priority's p99 first, then what else there is of priorities and of the whole, then
    tasks, with fewer figures: a page of charts has its limits. A figure's name is a section of the
    page by its slash."""
    scopes = [f"priority_{priority}" for priority in summary.priorities]
    first = {s: f for s in scopes if (f := summary.figures.get(f"p99_ms/{s}"))}
    metrics = {f"p99_ms/{scope}": figure.value for scope, figure in first.items()}
    for name, figure in summary.figures.items():
        tag, _, scope = name.partition("/")
        if not tag.startswith(NOT_LOGGED) and (scope not in summary.tasks or tag in OF_TASKS):
            metrics.setdefault(name, figure.value)
    for scope, figure in first.items():
        for end, value in zip(("low", "high"), figure.interval or (), strict=False):
            metrics[f"p99_ms_{end}/{scope}"] = math.nan if value is None else value
    if summary.window_s is not None:
        metrics["window_s"] = summary.window_s
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _written_ms(path: Path) -> int:
    return path.stat().st_mtime_ns // 10**6


def _origin(command: str) -> dict[str, str]:
    """What MLflow shows as source and user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the system has no name for it
        user = str(os.getuid())
    return {"mlflow.source.type": "LOCAL", "mlflow.source.name": command, "mlflow.user": user}


def _window_ms(sweep: Sweep) -> tuple[int, int]:
    """From the first window's beginning to the last one's end."""
    began, ended = zip(*(_times_ms(run) for run in sweep if _has_ended(run)), strict=True)
    return min(began), max(ended)


def _has_ended(run: Run) -> bool:
    return (run.folder / files.SUMMARY).is_file()


def _note(command: str, found: Conclusion, parent: str) -> str:
    """The description of a sweep, in Markdown: verdicts, table and drawing."""
    picture = f"get-artifact?path={urllib.parse.quote(found.picture)}&run_uuid={parent}"
    parts = [
        *found.verdicts,
        found.table,
        f"![{found.primary}]({picture})" if found.picture else "",
        f"`{command}`",
    ]
    return "\n\n".join(filter(None, parts))


def _swept(sweep: Sweep) -> list[str]:
    """What was swept but for the arm, by the names of runs' parameters: of a group that of its
    name."""
    params = {key for run in sweep for key in run.parameters}
    names = {key: CALLED_BY.get(key, f"{key}.name") for key in sweep.swept if key != "arm"}
    return [name if name in params else key for key, name in names.items()]


def _params(run: Run) -> dict[str, Any]:
    """What the run was configured with, without what was swept and it does not depend on."""
    none = [key for key, value in run.values.items() if value is None]
    return {
        key: value
        for key, value in run.parameters.items()
        if value is not None
        and key.partition(".")[0] not in NO_PARAMS
        and not any(key == each or key.startswith(f"{each}.") for each in none)
    }


def _tags(run: Run) -> dict[str, Any]:
    summary = run.summary
    saturation = math.nan if summary.saturation is None else summary.saturation
    said = " ".join(summary.notes)
    largest = [name for name, figure in summary.figures.items() if figure.is_maximum]
    return {
        ARM_TAG: run.arm,
        "platform": summary.platform,
        "placement": summary.place,
        "proof": summary.proof,
        "valid": summary.valid,
        "preemptions": summary.preemptions,
        SWEEP_TAG: summary.sweep,
        "effective_level": summary.level,
        "asked_level": summary.asked_level,
        "priority": summary.priority,
        "saturation": f"{saturation:.2f}",
        "reason": summary.reason,
        "notes": said,
        "maxima_for_want_of_requests": ", ".join(largest) or "none",
        "throttled": ", ".join(summary.device.throttled) or "no",
        "repeat": run.repeat,
        "mlflow.source.git.commit": run.provenance.code.commit,
        NOTE_TAG: " ".join(filter(None, [summary.reason, said])),
        **_origin(shlex.join(run.provenance.command)),
    }
