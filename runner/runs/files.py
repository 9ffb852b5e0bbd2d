"""The files of runs and sweeps: their names, and the one place that writes and reads them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runner.config.errors import UserError
from runner.config.limits import check_limits
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.proof.checks import Proof
from runner.proof.marks import Marks
from runner.runs import durable, migrate
from runner.runs.record import OLD, Conclusion, Logged, Provenance, Seal, Summary, SweepRecord
from runner.runs.store import shown

if TYPE_CHECKING:
    from runner.config.schema import Config

SWEEP = "sweep.json"
SUMMARY, CONFIG, PROOF, PROVENANCE = "summary.json", "config.yaml", "proof.json", "provenance.json"
REQUESTS, MARKS = "requests.parquet", "marks.parquet"
EVENTS, TELEMETRY = "events.parquet", "telemetry.parquet"
TRACE, LATENCY_CDF, TIMELINE = "trace.json", "latency_cdf.png", "timeline.png"
#: What of all that is derived could not be made, by file.
PROBLEMS = "problems.json"
EXPECTATIONS, COMPARISON = "expectations.json", "comparison"
REPORT, REPORT_PAGE, FIGURES = "report", "report.html", "figures"
SUPERSEDED = "superseded"
#: The user's own configuration files that a sweep was made of.
SOURCES = "conf"
#: What a sweep comes to, in words; the last of its conclusions to be written.
CONCLUDED = "conclusion.json"
#: In a run's folder, and in a sweep's for its parent run.
LOGGED = "mlflow.json"
#: What is read of a run, the first of it always there.
OF_A_RUN = (SUMMARY, CONFIG, REQUESTS, PROVENANCE, PROOF, MARKS, EVENTS)
#: What no result is without, not even a published copy of one.
AT_LEAST = (CONFIG, REQUESTS, PROOF)

#: Of a configuration; more is looked at before it is read.
MUCH_TEXT = 100_000

CONFIG_HEADER = """\
# This run again: python -m runner.replay {folder}
defaults:
  - schema
  - _self_
"""

Record = TypeVar("Record")


# --- JSON ----------------------------------------------------------------------------------------


def write_json(path: Path, content: Any) -> None:
    """The file is whole or not there."""
    durable.write(path, as_json(content))


def as_json(content: Any) -> bytes:
    """JSON with a final newline; what is not a number becomes null, as JSON has no NaN."""
    encoded = msgspec.json.encode(content, enc_hook=_plain)
    return msgspec.json.format(encoded, indent=2) + b"\n"


def _plain(value: Any) -> Any:
    """Of numpy's scalars and of paths."""
    return str(value) if isinstance(value, Path) else value.item()


def read_json(path: Path, kind: type[Record]) -> Record:
    """What a file holds. Raises OSError, and ValueError for what is no such record."""
    try:
        return msgspec.convert(migrate.current(path.name, json.loads(path.read_bytes())), kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_or(missing: Record, path: Path, kind: type[Record]) -> Record:
    """What a file holds, or `missing` if it is not there or holds no such record."""
    try:
        return read_json(path, kind)
    except (OSError, ValueError):
        return missing


def read_summary(folder: Path) -> Summary | None:
    """A run's summary; None if it never came to write one."""
    return read_json_or(None, folder / SUMMARY, Summary | None)  # type: ignore[arg-type]  # a union is no type to mypy


def read_proof(folder: Path) -> Proof:
    """A run's proof, without checks if it came to none."""
    return read_json_or(Proof(), folder / PROOF, Proof)


def read_provenance(folder: Path) -> Provenance:
    """Where a run comes from; nothing is known of a run that ended before it wrote that."""
    return read_json_or(Provenance(), folder / PROVENANCE, Provenance)


def read_logged(folder: Path) -> Logged | None:
    """Where in MLflow the run or sweep of the folder is; None if it is not logged."""
    return read_json_or(None, folder / LOGGED, Logged | None)  # type: ignore[arg-type]  # a union is no type to mypy


def read_conclusion(folder: Path) -> Conclusion:
    """What the sweep in the folder comes to; empty if nobody has concluded it."""
    return read_json_or(Conclusion(), folder / CONCLUDED, Conclusion)


def read_sweep(folder: Path) -> SweepRecord:
    """What sweep.json of the folder says. Raises `UserError` if it cannot be read."""
    path = folder / SWEEP
    try:
        return read_json(path, SweepRecord)
    except (OSError, ValueError) as error:
        raise UserError("", "", f"{path} cannot be read: {error}") from error


# --- the configuration ---------------------------------------------------------------------------


def write_config(folder: Path, config: "Config", trial: TrialSpec) -> None:
    """config.yaml: every value spelled out, platform and placement as resolved, but for a
    password."""
    from omegaconf import OmegaConf

    resolved = OmegaConf.structured(config)
    resolved.platform.name, resolved.platform.placement = trial.platform, trial.placement
    resolved.tracking.uri = config.tracking.uri and shown(config.tracking.uri)
    header = CONFIG_HEADER.format(folder=shlex.quote(str(folder.absolute())))
    durable.write(folder / CONFIG, (header + OmegaConf.to_yaml(resolved)).encode())


def read_config(folder: Path) -> dict[str, Any]:
    """The run's configuration; {} for a run that ended before it wrote one."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = (folder / CONFIG).read_text()
        if "&" in text or len(text) > MUCH_TEXT:  # somebody else's: the runner writes no anchors
            check_limits(folder / CONFIG)
        config = yaml.load(text, loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError, UserError):
        return {}
    return migrate.configuration(config) if isinstance(config, dict) else {}


# --- Parquet -------------------------------------------------------------------------------------


def read_table(path: Path) -> pa.Table:
    """Raises `UserError` for what cannot be read."""
    try:
        return pq.read_table(path, read_dictionary=["task"])
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError("", "", f"{path} cannot be read: {error}") from error


def read_requests(path: Path) -> pa.Table:
    """requests.parquet, without a lead-in if it is from before there was one. Raises `UserError`
    for what cannot be read or has other columns."""
    table = read_table(path)
    if LEAD_IN not in table.column_names:
        table = table.append_column(LEAD_IN, pa.array(np.zeros(len(table), bool)))
    known = {column.name: column.type for column in table.schema}
    for name, kind in zip(REQUEST_ROWS.names, REQUEST_ROWS.types, strict=True):
        if name not in known or (name != "task" and known[name] != kind):
            raise UserError("", "", f"{path} cannot be read: it has no column {name} of {kind}")
    return table


#: In the metadata of requests.parquet: JSON, by task the instant that its times count from.
START_NS = b"start_ns"
LEAD_IN = "lead_in"


def request_table(requests: Sequence[TaskRequests]) -> pa.Table:
    """requests.parquet: one row a request, nanoseconds after the window began, int64. `warmup` ones
    arrived earlier, are in no figure and count from -n to -1; the last of them are the `lead_in`.
    `extra` ones came after the task had completed its count."""
    table = pa.concat_tables([_request_table(task) for task in requests])
    starts = json.dumps({task.name: int(task.start_ns) for task in requests})
    return table.replace_schema_metadata({START_NS: starts})


def starts_of(requests: pa.Table) -> dict[str, int]:
    """By task, when the window began on the monotonic clock, as `request_table` recorded it; {} for
    a file without."""
    recorded = (requests.schema.metadata or {}).get(START_NS, b"{}")
    return {name: int(start_ns) for name, start_ns in json.loads(recorded).items()}


REQUEST_ROWS = pa.schema(
    [
        ("task", pa.string()),
        ("request", pa.int64()),
        ("scheduled_ns", pa.int64()),
        ("started_ns", pa.int64()),
        ("completed_ns", pa.int64()),
        ("warmup", pa.bool_()),
        ("extra", pa.bool_()),
        (LEAD_IN, pa.bool_()),
    ]
)
EVENT_ROWS = pa.schema(
    [
        ("at_ns", pa.int64()),
        ("event", pa.string()),
        ("task", pa.string()),
        ("completed", pa.int64()),
    ]
)


MARK_ROWS = pa.schema(
    [
        ("task", pa.dictionary(pa.int32(), pa.string())),
        ("request", pa.int64()),
        ("part", pa.int32()),
        ("at_ns", pa.int64()),
        ("result", pa.float64()),
    ]
)


def mark_table(marks: Sequence[Marks], lead_in: Mapping[str, int]) -> pa.Table:
    """marks.parquet: one row a mark, on the monotonic clock; `part` of `request` had completed,
    numbered as in requests.parquet. A request's last part tells its result, where it has one; null
    elsewhere. lead_in: by task, how many of its requests were of the lead-in."""
    tables = [_mark_table(each, lead_in[each.task]) for each in marks]
    return pa.concat_tables(tables).unify_dictionaries() if tables else MARK_ROWS.empty_table()


def _mark_table(marks: Marks, lead_in: int) -> pa.Table:
    numbers = np.arange(len(marks.at_ns)) + marks.dropped
    results = np.full(len(numbers), np.nan)
    ends = np.flatnonzero((numbers + 1) % max(marks.parts, 1) == 0)
    kept = min(len(ends), len(marks.results))
    results[ends[len(ends) - kept :]] = marks.results[len(marks.results) - kept :]
    task = pa.DictionaryArray.from_arrays(np.zeros(len(numbers), np.int32), [marks.task])
    columns = {
        "task": task,
        "request": numbers // max(marks.parts, 1) - lead_in,
        "part": (numbers % max(marks.parts, 1)).astype(np.int32),
        "at_ns": marks.at_ns,
        "result": pa.array(results, from_pandas=True),
    }
    return pa.table(columns, MARK_ROWS)


def _request_table(task: TaskRequests) -> pa.Table:
    window = np.stack([task.scheduled, task.started, task.completed], axis=1)
    times = np.concatenate([task.warmup, window])
    request = np.arange(len(times)) - len(task.warmup)
    columns = dict(zip(("scheduled_ns", "started_ns", "completed_ns"), times.T, strict=True))
    return pa.table(
        {
            "task": np.full(len(times), task.name),
            "request": request,
            **columns,
            "warmup": request < 0,
            "extra": request >= task.wanted,
            LEAD_IN: (request < 0) & (request >= -task.lead_in),
        },
        REQUEST_ROWS,
    )


# --- the measured files of a run -----------------------------------------------------------------


def keep(
    folder: Path,
    summary: Summary,
    proof: Proof,
    requests: Sequence[TaskRequests],
    marks: Sequence[Marks],
    events: Mapping[str, list[Any]],
    provenance: Provenance,
) -> Summary:
    """Write what was measured, each file whole and on the disk, and at last the record that makes
    it a result, with the seals of all. config.yaml, and telemetry.parquet on GPUs, are there
    already. Returns the summary as it was written. Raises OSError."""
    contents = {
        REQUESTS: _parquet(request_table(requests)),
        MARKS: _parquet(mark_table(marks, {task.name: task.lead_in for task in requests})),
        EVENTS: _parquet(pa.table(events, EVENT_ROWS)),
        PROOF: as_json({"verdict": proof.verdict} | msgspec.to_builtins(proof)),
        PROVENANCE: as_json(provenance),
    }
    for name, content in contents.items():
        durable.write(folder / name, content)
    there = {name: folder / name for name in (CONFIG, TELEMETRY) if (folder / name).is_file()}
    for name, path in there.items():
        durable.sync(path)
        contents[name] = path.read_bytes()
    sealed = replace(summary, files={name: Seal.of(each) for name, each in contents.items()})
    durable.sync(folder)
    write_json(folder / SUMMARY, sealed)
    durable.sync(folder)
    durable.sync(folder.parent)
    return sealed


def _parquet(table: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    return bytes(buffer.getvalue())


def others_of(summary: Summary | None) -> list[str]:
    """The files of a run beside its summary: what any may have, and telemetry where it lists it."""
    listed = summary.files if summary else None
    return [*OF_A_RUN[1:], *(name for name in listed or () if name == TELEMETRY)]


def broken(folder: Path, summary: Summary) -> str:
    """Why a run is not what was measured, "" if it is: its files must be those that its record
    lists, and a result lists some in any case. Version 1 listed none, and a run that failed early
    has none to list."""
    listed = summary.files or {}
    unlisted = [name for name in AT_LEAST if name not in listed]
    if unlisted and summary.status.has_figures and summary.schema != OLD:
        return f"{SUMMARY} does not list {unlisted[0]}"
    for name, seal in listed.items():
        try:
            content = (folder / name).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: of a name that is none
            return f"{name} cannot be read: {getattr(error, 'strerror', error)}"
        if Seal.of(content) != seal:
            return f"{name} is not what was recorded"
    try:
        if not listed and (folder / REQUESTS).exists():
            read_requests(folder / REQUESTS)
    except (UserError, OSError) as error:
        return str(error)
    return ""
