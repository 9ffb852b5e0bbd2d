"""A run that has ended, as its folder tells it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from runner.config.arms import Arm
from runner.config.settings import flat, setting
from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement
from runner.metrics.names import figure_named
from runner.metrics.task import Task
from runner.proof.checks import Proof
from runner.runs import files
from runner.runs.record import Entry, Provenance, Summary
from runner.trial.status import Status

PRIORITY_KEY = re.compile(r"task_set\.tasks\..+\.priority")  # names may have dots


@dataclass(frozen=True, eq=False)
class Run:
    """One run. values: by swept key other than the arm; None where the run does not depend on it.
    repeat: runs with the same number are compared with each other. parameters: the configuration,
    by dotted key, as it was resolved; {} for a run that ended before it wrote one."""

    folder: Path
    summary: Summary
    parameters: Mapping[str, Any]
    values: dict[str, str | None]
    repeat: int
    #: Whether anybody said what was swept.
    swept_known: bool = True
    #: Keeps a downloaded folder for as long as the run lives.
    held: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.summary.name

    @property
    def arm(self) -> str:
        return self.summary.arm

    @property
    def task_set(self) -> str:
        return self.summary.task_set

    @property
    def status(self) -> Status:
        return self.summary.status

    @property
    def alone(self) -> bool:
        """Whether its tasks ran one after another."""
        return (arm := Arm.known(self.arm)) is not None and arm.runs_tasks_alone

    @property
    def point(self) -> tuple[str, str, frozenset[tuple[str, str | None]]]:
        """What is the same for all repeats."""
        return self.task_set, self.arm, frozenset(self.values.items())

    def setting(self, key: str) -> str | None:
        """What the run had for a dotted key: as swept (None where it does not depend on it), else
        as configured; of a group like ``model`` its name."""
        return setting(key, self.arm, self.values, self.parameters)

    @cached_property
    def proof(self) -> Proof:
        """The checks that the run passed or failed; none if it came to none."""
        return files.read_proof(self.folder)

    @cached_property
    def provenance(self) -> Provenance:
        """Code, command, machine and libraries."""
        return files.read_provenance(self.folder)

    def requests(self) -> pa.Table:
        """requests.parquet: one row a request, nanoseconds after the window's beginning
        (docs/outputs.md). With pandas, ``run.requests().to_pandas()`` is a DataFrame. Raises
        `UserError`."""
        return files.read_requests(self.folder / files.REQUESTS)

    def marks(self) -> pa.Table:
        """marks.parquet: when parts of requests had completed, on the monotonic clock, as the
        device itself tells (docs/outputs.md). Raises `UserError`."""
        return files.read_table(self.folder / files.MARKS)

    def events(self) -> pa.Table:
        """events.parquet: the scheduler's log, on the monotonic clock; without rows where XSched
        keeps none. Raises `UserError`."""
        return files.read_table(self.folder / files.EVENTS)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """What every task did whose requests count, ready for `runner.metrics`."""
        times = {name: each for name, each in times_of(self.requests()).items() if each[1]}
        ends = {name: int(rows[count - 1, 2]) for name, (rows, count) in times.items()}
        together = max(ends.values(), default=0)
        return {
            name: self._task(name, *each, ends[name] if self.alone else together)
            for name, each in times.items()
        }

    @cached_property
    def measured(self) -> Measurement:
        """What the figures are computed from: all tasks that ran, those without a request too."""
        facts, nothing = self.summary, np.empty((0, 3), np.int64)
        starved = [name for name in facts.tasks if name not in self.tasks]
        configured = [v for k, v in self.parameters.items() if PRIORITY_KEY.fullmatch(k)]
        return Measurement(
            self.tasks | {name: self._task(name, nothing, 0, 0) for name in starved},
            not self.alone,
            facts.preemptions,
            facts.against_policy,
            facts.saturation,
            facts.stolen,
            facts.pace_us,
            frozenset(int(each or 0) for each in configured),
        )

    def figure(self, name: str) -> Estimate | None:
        """A figure with its interval by its name, ``p99_ms/urgent`` (`runner.metrics.names`); None
        where the run does not have it. Raises `UserError` for a metric that there is not."""
        return figure_named(name).of(self.measured)

    def _task(self, name: str, rows: NDArray[np.int64], count: int, last_ns: int) -> Task:
        """last_ns: when the requests that count were over, which ends a window that nobody said
        the end of."""
        measured = self.summary.tasks.get(name)
        window_s = measured.window_s if measured else None
        solo_ms = measured.solo_ms if measured else None
        deadline_us = self._configured(name, "deadline_us")
        scheduled, started, completed = rows.T
        return Task(
            name,
            self.priority(name),
            (completed - scheduled)[:count] / 1e6,
            (completed - started)[:count] / 1e6,
            completed / 1e6,
            # To the nanosecond, so that a request that ends the window is within it.
            (last_ns if window_s is None else round(window_s * 1e9)) / 1e6,
            np.nan if solo_ms is None else solo_ms,
            self._configured(name, "utilization"),
            None if deadline_us is None else deadline_us / 1e3,
            quiet_ms(self.proof, name),
            busy_ms(scheduled, self._arrival_process(name) == "closed"),
        )

    def priority(self, task: str) -> int:
        """0 where nobody says it. A failed run's summary has no tasks, its configuration has."""
        measured = self.summary.tasks.get(task)
        return int(measured.priority if measured else self._configured(task, "priority") or 0)

    def _arrival_process(self, task: str) -> Any:
        return self._configured(task, "arrival.process") or self.parameters.get("arrival.process")

    def _configured(self, task: str, key: str) -> Any:
        return self.parameters.get(f"task_set.tasks.{task}.{key}")


def read_run(folder: Path, entry: Entry | None = None, held: Any = None) -> Run:
    """A run from its folder and its entry in sweep.json, if there is one."""
    parameters = flat(files.read_config(folder))
    repeat = entry.repeat if entry else parameters.get("repeat")
    entry = entry or Entry(folder=folder.name)
    summary = read_result(folder, entry)
    summary = replace(
        summary,
        arm=summary.arm or entry.arm or str(parameters.get("arm.name", "")),
        task_set=summary.task_set or str(parameters.get("task_set.name", "")),
    )
    return Run(
        folder,
        summary,
        parameters,
        dict(entry.values or {}),
        repeat if isinstance(repeat, int) else 0,
        entry.values is not None,
        held,
    )


def read_result(folder: Path, entry: Entry) -> Summary:
    """How a run ended: as its folder says, unless that is not what was measured."""
    # Of a run that ended before it wrote one; the sweep may know why.
    why = [entry.reason] if entry.status is Status.FAILED and entry.reason else []
    summary = files.read_summary(folder) or Summary.failed(entry.name, *why)
    if problem := files.broken(folder, summary):
        summary = replace(
            Summary.failed(summary.name, f"{problem}: no result without what was measured"),
            task_set=summary.task_set,
            arm=summary.arm,
            platform=summary.platform,
            placement=summary.placement,
        )
    return replace(summary, name=summary.name or entry.name or folder.name)


def times_of(rows: pa.Table) -> dict[str, tuple[NDArray[np.int64], int]]:
    """By task its requests in the window as (scheduled, started, completed) in nanoseconds, shape
    (requests, 3), and how many of them count."""
    found = {}
    for name in rows["task"].unique().to_pylist():
        mine = rows.filter(pc.and_(pc.equal(rows["task"], name), pc.invert(rows["warmup"])))
        times = [mine[key].to_numpy() for key in ("scheduled_ns", "started_ns", "completed_ns")]
        counted = pc.sum(pc.invert(mine["extra"])).as_py() or 0
        found[str(name)] = np.stack(times, axis=1), int(counted)
    return found


def busy_ms(scheduled: NDArray[np.int64], closed: bool) -> float:
    """See `runner.metrics.task.Task`. A closed loop's first request in the window arrives when the
    last one of the lead-in is done."""
    return scheduled[0] / 1e6 if closed and len(scheduled) else 0.0


def quiet_ms(proof: Proof, task: str) -> NDArray[np.float64]:
    """From a suspension to the queue's quiet, of each one that proved the task's level."""
    return np.array([p.quiet_ms for p in proof.suspensions if p.task == task and not p.disturbed])
