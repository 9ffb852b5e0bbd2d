"""Folders of runs as the runner leaves them, with latencies that a test chooses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from runner.metrics.requests import TaskRequests
from runner.platforms.device import DeviceFacts, Spread, TelemetrySummary
from runner.proof.checks import Proof, Verdict
from runner.proof.marks import Marks
from runner.runs import files
from runner.runs.record import Entry, Provenance, Seal, Summary, SweepRecord, TaskSummary
from runner.trial.status import Status

GAP_MS = 100.0


@dataclass
class MadeTask:
    """A task whose requests take `response_ms` each, arriving every `GAP_MS`. lead_in: how many of
    the warm-up's are the lead-in's."""

    response_ms: ArrayLike
    priority: int = 0
    solo_ms: float | None = 1.0
    extra: int = 0
    warmup: int = 2
    lead_in: int = 0
    configured: Mapping[str, Any] = field(default_factory=dict)


def write_run(
    folder: Path,
    arm: str,
    tasks: Mapping[str, MadeTask],
    config: Mapping[str, Any] | None = None,
    repeat: int = 0,
    **summary: Any,
) -> Path:
    """A run's folder: summary.json, config.yaml, requests.parquet and an empty proof.json. summary:
    fields of the record that differ from a finished run's."""
    folder.mkdir(parents=True)
    configured = {n: {"priority": t.priority, **t.configured} for n, t in tasks.items()}
    whole: dict[str, Any] = {
        "task_set": {"name": "made", "tasks": configured},
        "arm": {"name": arm},
        "repeat": repeat,
    } | dict(config or {})
    known: dict[str, Any] = {
        "name": folder.name,
        "status": Status.FINISHED,
        "as_expected": True,
        "valid": True,
        "task_set": whole["task_set"]["name"],
        "arm": arm,
        "platform": "host",
        "placement": "threads",
        "proof": Verdict.PROVEN,
        "tasks": {n: TaskSummary(priority=t.priority, solo_ms=t.solo_ms) for n, t in tasks.items()},
        "folder": str(folder),
    }
    # JSON is YAML, too.
    (folder / files.CONFIG).write_text(json.dumps(whole))
    table = pa.concat_tables([_rows(name, task) for name, task in tasks.items()])
    pq.write_table(table, folder / files.REQUESTS)
    files.write_json(folder / files.SUMMARY, Summary(**known | summary))
    return seal(folder)


def seal(folder: Path) -> Path:
    """Let the record of a run list the files that are in its folder now, and those that every
    result has."""
    summary = files.read_summary(folder)
    assert summary is not None
    complete(folder)
    if not (folder / files.PROOF).exists():
        files.write_json(folder / files.PROOF, Proof())
    there = [path for path in folder.iterdir() if path.name in files.OF_A_RUN]
    seals = {path.name: Seal.of(path.read_bytes()) for path in there}
    seals.pop(files.SUMMARY)
    files.write_json(folder / files.SUMMARY, replace(summary, files=seals))
    return folder


def complete(folder: Path) -> None:
    """What the runner has written before a trial begins."""
    if not (folder / files.CONFIG).exists():
        (folder / files.CONFIG).write_text("{}")


NO_EVENTS: dict[str, list[Any]] = {name: [] for name in files.EVENT_ROWS.names}
TIMES = np.arange(3, dtype=np.int64)
THREE_REQUESTS = TaskRequests("a", 1, 3, TIMES, TIMES + 1, TIMES + 2, np.zeros((0, 3), np.int64))


def keep(
    folder: Path,
    summary: Summary | None = None,
    proof: Proof | None = None,
    requests: Sequence[TaskRequests] = (THREE_REQUESTS,),
    marks: Sequence[Marks] = (),
    events: Mapping[str, list[Any]] = NO_EVENTS,
) -> Summary:
    """`files.keep` over what a test does not care about."""
    made = summary or Summary(name="made", status=Status.FINISHED, as_expected=True)
    complete(folder)
    return files.keep(folder, made, proof or Proof(), requests, marks, events, Provenance())


def _rows(name: str, task: MadeTask) -> pa.Table:
    response = np.asarray(task.response_ms, dtype=np.float64)
    latency = np.concatenate([np.full(task.warmup, 5.0), response, np.full(task.extra, 7.0)])
    request = np.arange(len(latency)) - task.warmup
    scheduled = request * GAP_MS * 1e6
    return pa.table(
        {
            "task": np.full(len(latency), name),
            "request": request,
            "scheduled_ns": scheduled.astype(np.int64),
            "started_ns": (scheduled + latency * 1e6 / 2).astype(np.int64),
            "completed_ns": (scheduled + latency * 1e6).round().astype(np.int64),
            "warmup": request < 0,
            "extra": request >= len(response),
            "lead_in": (request < 0) & (request >= -task.lead_in),
        },
        files.REQUEST_ROWS,
    )


def write_sweep(folder: Path, runs: Sequence[Mapping[str, Any]], **content: Any) -> Path:
    """A sweep's folder over runs that are in it; an entry has at least a `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = tuple(Entry(**run) for run in runs)
    files.write_json(folder / files.SWEEP, SweepRecord(runs=entries, **content))
    return folder


def at_clock(median_mhz: float | None) -> DeviceFacts:
    """What the summary of a GPU's run says of its SM clock."""
    clock = None if median_mhz is None else Spread(210, median_mhz, 1980)
    return DeviceFacts(TelemetrySummary(samples=9, sm_clock_mhz=clock))


def write_repeats(
    folder: Path,
    arms: Mapping[str, Sequence[ArrayLike]],
    values: Mapping[str, Mapping[str, str | None]] | None = None,
    priority: int = 1,
) -> Path:
    """A sweep whose arms have a single task; arms: by name, the latencies of each repeat. A name
    may go on behind a space, to tell points of one arm apart."""
    entries = []
    for name, repeats in arms.items():
        for repeat, response in enumerate(repeats):
            run = f"{name.replace(' ', '-')}-r{repeat}"
            tasks = {"urgent": MadeTask(response, priority)}
            write_run(folder / run, name.split()[0], tasks)
            said = (values or {}).get(name, {})
            entries.append({"folder": run, "repeat": repeat, "values": dict(said)})
    return write_sweep(folder, entries)
