"""Runs that have ended, read back from what they left: a sweep's folder, runs' folders, MLflow."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from runner import archive, repeats
from runner.errors import UserError
from runner.metrics import Task
from runner.outputs import SUMMARY, read_summary

SWEEP, CONFIG, REQUESTS = "sweep.json", "config.yaml", "requests.parquet"
PROOF = "proof.json"
FINISHED, FAILED, PENDING = "FINISHED", "FAILED", "pending"
MLFLOW = "mlflow:"
RUN_ID = re.compile(r"[0-9a-f]{32}")

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One run. values: by swept key other than the arm; None where the run does not depend on it.
    repeat: runs with the same number are compared with each other."""

    folder: Path
    name: str
    arm: str
    task_set: str
    platform: str
    placement: str
    values: dict[str, str | None]
    repeat: int
    status: str
    reason: str
    proof: str
    valid: bool
    summary: dict[str, Any]
    config: dict[str, Any]
    #: Whether anybody said what was swept.
    swept_known: bool = True
    #: Keeps a downloaded folder for as long as the record lives.
    held: Any = field(default=None, repr=False)

    @property
    def point(self) -> tuple[str, str, frozenset[tuple[str, str | None]]]:
        """What is the same for all repeats."""
        return self.task_set, self.arm, frozenset(self.values.items())

    def requests(self) -> dict[str, Task]:
        """Every task that has requests that count, from requests.parquet and the configuration."""
        path = self.folder / REQUESTS
        try:
            rows = pq.read_table(path, read_dictionary=["task"])
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError("", "", f"{path} cannot be read: {error}") from error
        times = {name: _times(rows, name) for name in _names(rows)}
        times = {name: each for name, each in times.items() if each[1]}
        ends = {name: int(rows_[count - 1, 2]) for name, (rows_, count) in times.items()}
        together = max(ends.values(), default=0)
        quiet = _quiet_ms(self.folder)
        return {
            name: replace(
                self._task(name, *each, ends[name] if self.arm == "solo" else together),
                preemption_ms=np.array(quiet.get(name, ())),
            )
            for name, each in times.items()
        }

    def _task(self, name: str, rows: NDArray[np.int64], count: int, last_ns: int) -> Task:
        """last_ns: when the requests that count were over, which ends a window that nobody said
        the end of."""
        measured = self.summary.get("tasks", {}).get(name, {})
        window_s = measured.get("window_s")
        configured = self.config.get("task_set", {}).get("tasks", {}).get(name, {})
        scheduled, started, completed = rows.T
        deadline_us, solo_ms = configured.get("deadline_us"), measured.get("solo_ms")
        return Task(
            name,
            int(measured.get("priority", configured.get("priority", 0))),
            (completed - scheduled)[:count] / 1e6,
            (completed - started)[:count] / 1e6,
            completed / 1e6,
            # To the nanosecond, so that a request that ends the window is within it.
            (last_ns if window_s is None else round(window_s * 1e9)) / 1e6,
            np.nan if solo_ms is None else float(solo_ms),
            configured.get("utilization"),
            None if deadline_us is None else deadline_us / 1e3,
        )


def _quiet_ms(folder: Path) -> dict[str, list[float]]:
    """By task, from each suspension of the level's proof to the queue's quiet; {} without any."""
    try:
        checks = json.loads((folder / PROOF).read_text())["checks"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    found: dict[str, list[float]] = {}
    for check in checks:
        evidence = check.get("evidence", {}) if check.get("name") == "level" else {}
        for probe in evidence.get("suspensions", ()):
            found.setdefault(str(probe["task"]), []).append(float(probe["quiet_ms"]))
    return found


def _names(rows: pa.Table) -> list[str]:
    return [str(name) for name in rows["task"].unique().to_pylist()]


def _times(rows: pa.Table, name: str) -> tuple[NDArray[np.int64], int]:
    """A task's requests after the warm-up as (scheduled, started, completed) in nanoseconds, and
    how many of them count."""
    mine = rows.filter(pc.and_(pc.equal(rows["task"], name), pc.invert(rows["warmup"])))
    columns = [mine[f"{column}_ns"].to_numpy() for column in ("scheduled", "started", "completed")]
    return np.stack(columns, axis=1), int(pc.sum(pc.invert(mine["extra"])).as_py() or 0)


# ------------------------------------------------------------------------------ loading


def load(paths: Sequence[str | Path], uri: str | None = None) -> list[RunRecord]:
    """The runs at `paths`: folders of sweeps or of runs, exported zips, ids of MLflow runs, and
    ``mlflow:<experiment>``; uri: the tracking store, else MLFLOW_TRACKING_URI, else the default.

    A point that occurs again is a further repeat. Raises `UserError` for what is no run, and if
    runs of different platforms or placements have results."""
    from runner.mlflow_records import Store  # which works from this module

    batches: list[list[RunRecord]] = []
    loose: list[RunRecord] = []
    store = Store(uri)
    for path in dict.fromkeys(map(str, paths)):
        if path.startswith(MLFLOW):
            batches += store.experiment(path.removeprefix(MLFLOW))
        elif (Path(path) / SWEEP).is_file():
            batches.append(_sweep(Path(path)))
        elif (Path(path) / SUMMARY).is_file():
            loose.append(_run(Path(path)))
        elif Path(path).is_file():
            folder, held = archive.unpack(Path(path))
            batches.append([replace(each, held=held) for each in _sweep(folder)])
        elif RUN_ID.fullmatch(path):
            loose += store.runs(path)
        else:
            raise _no_run(path)
    batches += [loose] if loose else []
    records = repeats.number(repeats.with_values(_once(batches)))
    _check_places(records)
    return records


def _once(batches: list[list[RunRecord]]) -> list[list[RunRecord]]:
    """Without runs that were named twice, as by their own folder and by their sweep's: counted
    twice they would be repeats that agree to the nanosecond."""
    seen: set[Path] = set()
    kept = []
    for batch in batches:
        new = [each for each in batch if each.folder.resolve() not in seen]
        seen |= {each.folder.resolve() for each in new}
        kept.append(new)
    return kept


def _no_run(path: str) -> UserError:
    problem = "holds no run" if Path(path).exists() else "is not there"
    allowed = "a sweep's folder or exported zip, runs' folders, MLflow run ids, mlflow:<experiment>"
    return UserError("", "", f"{path} {problem}", allowed)


def _sweep(folder: Path) -> list[RunRecord]:
    """The runs that sweep.json lists."""
    return [record_of(folder / name, entry) for name, entry in entries_of(folder).items()]


def entries_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The runs in sweep.json by folder, without those that are still to be run."""
    try:
        runs = json.loads((folder / SWEEP).read_text())["runs"]
        return {run["folder"]: run for run in runs if run.get("status") != PENDING}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("", "", f"{folder / SWEEP} cannot be read: {error!r}") from error


def _run(folder: Path) -> RunRecord:
    """A run named by its own folder; what was swept is in the sweep's folder above, if there."""
    above, name = folder.absolute().parent, folder.absolute().name
    entries = entries_of(above) if (above / SWEEP).is_file() else {}
    return record_of(folder, entries.get(name, {}))


def record_of(folder: Path, entry: dict[str, Any], held: Any = None) -> RunRecord:
    """A run from its folder and its entry in sweep.json, {} if there is none."""
    summary = read_summary(folder) or {
        "status": FAILED,
        "reason": "the run ended without a summary",
    }
    config = _config(folder)
    values = entry.get("values", summary.get("values"))
    return RunRecord(
        folder=folder,
        name=str(summary.get("name") or entry.get("name") or folder.name),
        arm=str(summary.get("arm") or entry.get("arm") or config.get("arm", {}).get("name", "")),
        task_set=str(config.get("task_set", {}).get("name", "")),
        platform=str(summary.get("platform", "")),
        placement=str(summary.get("placement", "")),
        values={key: None if v is None else str(v) for key, v in (values or {}).items()},
        repeat=int(entry.get("repeat", summary.get("repeat", config.get("repeat", 0)))),
        status=str(summary.get("status", FAILED)),
        reason=str(summary.get("reason", "")),
        proof=str(summary.get("proof", "")),
        valid=bool(summary.get("valid", True)),
        summary=summary,
        config=config,
        swept_known=values is not None,
        held=held,
    )


def _config(folder: Path) -> dict[str, Any]:
    """The run's configuration; {} for a run that ended before it wrote one."""
    try:
        config = yaml.load((folder / CONFIG).read_text(), Loader)
    except (OSError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def _check_places(records: list[RunRecord]) -> None:
    """Baselines differ between platforms, and between placements on one."""
    ran = [each for each in records if each.status == FINISHED]
    for key in ("platform", "placement"):
        names = {str(getattr(each, key)): each.name for each in ran}
        if len(names) > 1:
            runs = ", ".join(f"{place} ({run})" for place, run in sorted(names.items()))
            raise UserError(
                "",
                "",
                f"runs of different {key}s cannot be compared, their baselines differ: {runs}",
                remedy=f"compare the runs of one {key}",
            )
