"""The folder of a run: everything about it, written before any tracking server hears of it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from runner.config.schema import Config
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.trial.recording import COMPLETED, SCHEDULED, STARTED

SUMMARY = "summary.json"
REPORT_PAGE = "report.html"
CONFIG_HEADER = """\
# This run again: python -m runner.replay {folder}
defaults:
  - schema
  - _self_
"""


def write_json(path: Path, content: Any) -> None:
    """JSON with a final newline; what is not a number becomes null, as JSON has no NaN."""
    path.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(key): _finite(child) for key, child in value.items()}
        case list() | tuple():
            return [_finite(child) for child in value]
        case _:
            return value


def read_summary(folder: Path) -> dict[str, Any] | None:
    """A run's summary; None if it never came to write one."""
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text())
    except (OSError, ValueError):
        return None
    return summary


def write_config(folder: Path, config: Config, trial: TrialSpec) -> None:
    """config.yaml: every value spelled out, platform and placement as resolved."""
    resolved = OmegaConf.structured(config)
    resolved.platform.name, resolved.platform.placement = trial.platform, trial.placement
    header = CONFIG_HEADER.format(folder=folder.absolute())
    (folder / "config.yaml").write_text(header + OmegaConf.to_yaml(resolved))


#: In the metadata of requests.parquet: JSON, by task the instant that its times count from.
START_NS = b"start_ns"


def write_requests(path: Path, requests: list[TaskRequests]) -> None:
    """requests.parquet: one row a request, nanoseconds after the common start, int64. Warm-up
    requests count from -n to -1; `extra` ones came after the task had completed its count."""
    table = pa.concat_tables([_request_table(task) for task in requests])
    starts = json.dumps({task.name: int(task.start_ns) for task in requests})
    pq.write_table(table.replace_schema_metadata({START_NS: starts}), path)


def starts_of(requests: pa.Table) -> dict[str, int]:
    """By task, the common start on the monotonic clock, as `write_requests` recorded it; {} for a
    file without."""
    recorded = (requests.schema.metadata or {}).get(START_NS, b"{}")
    return {name: int(start_ns) for name, start_ns in json.loads(recorded).items()}


REQUESTS = pa.schema(
    [
        ("task", pa.string()),
        ("request", pa.int64()),
        ("scheduled_ns", pa.int64()),
        ("started_ns", pa.int64()),
        ("completed_ns", pa.int64()),
        ("warmup", pa.bool_()),
        ("extra", pa.bool_()),
    ]
)


def _request_table(task: TaskRequests) -> pa.Table:
    window = np.stack([task.scheduled, task.started, task.completed], axis=1)
    times = np.concatenate([task.warmup, window])
    request = np.arange(len(times)) - len(task.warmup)
    return pa.table(
        {
            "task": np.full(len(times), task.name),
            "request": request,
            "scheduled_ns": times[:, SCHEDULED],
            "started_ns": times[:, STARTED],
            "completed_ns": times[:, COMPLETED],
            "warmup": request < 0,
            "extra": request >= task.wanted,
        },
        REQUESTS,
    )


def write_events(path: Path, events: dict[str, list[Any]]) -> None:
    """events.parquet: the scheduler's log, see `xsched_bindings.host.scheduler.Event`."""
    schema = pa.schema(
        [
            ("at_ns", pa.int64()),
            ("event", pa.string()),
            ("task", pa.string()),
            ("completed", pa.int64()),
        ]
    )
    pq.write_table(pa.table(events, schema), path)
