"""A run that has ended, as its folder tells it."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.metrics import Task
from runner.runs.files import read_summary

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
        alone = (arm := Arm.known(self.arm)) and arm.runs_tasks_alone
        quiet = _quiet_ms(self.folder)
        return {
            name: replace(
                self._task(name, *each, ends[name] if alone else together),
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


def entries_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The runs in sweep.json by folder, without those that are still to be run."""
    try:
        runs = json.loads((folder / SWEEP).read_text())["runs"]
        return {run["folder"]: run for run in runs if run.get("status") != PENDING}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("", "", f"{folder / SWEEP} cannot be read: {error!r}") from error


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
