import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.metrics.requests import TaskRequests
from runner.runs.files import (
    read_summary,
    starts_of,
    write_config,
    write_events,
    write_json,
    write_requests,
)


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": math.nan, "b": [1.5, math.inf], 3: {"c": "d"}})
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": None,
        "b": [1.5, None],
        "3": {"c": "d"},
    }


def test_a_missing_or_broken_summary_is_none(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    (tmp_path / "summary.json").write_text("{")
    assert read_summary(tmp_path) is None


def test_the_config_says_what_was_decided_and_how_to_run_it_again(tmp_path: Path) -> None:
    config = Config()
    config.task_set.tasks = {"a": TaskConfig(priority=3)}
    write_config(tmp_path, config, resolve(config))
    text = (tmp_path / "config.yaml").read_text()
    assert text.splitlines()[0].endswith(f"python -m runner.replay {tmp_path}")
    content = yaml.safe_load(text)
    assert content["defaults"] == ["schema", "_self_"]
    assert content["task_set"]["tasks"]["a"]["priority"] == 3
    assert content["xsched"]["level"] == "block"


def test_requests_are_one_row_each_also_of_a_task_that_never_ran(tmp_path: Path) -> None:
    times = np.arange(3, dtype=np.int64)
    warmup = np.array([[-9, -9, -5]])
    none = np.zeros((0, 3), np.int64)
    tasks = [
        TaskRequests("a", 1, 2, times, times + 1, times + 2, warmup, 7 * 10**18),
        TaskRequests("b", 1, 2, times[:0], times[:0], times[:0], none),
    ]
    write_requests(tmp_path / "r.parquet", tasks)
    table = pq.read_table(tmp_path / "r.parquet")
    assert starts_of(table) == {"a": 7 * 10**18, "b": 0}
    rows = table.to_pylist()
    assert [row["request"] for row in rows] == [-1, 0, 1, 2]
    assert [row["warmup"] for row in rows] == [True, False, False, False]
    assert [row["extra"] for row in rows] == [False, False, False, True]
    assert rows[1] | {"task": "a"} == rows[1]
    assert (rows[1]["scheduled_ns"], rows[1]["started_ns"], rows[1]["completed_ns"]) == (0, 1, 2)


def test_an_empty_log_of_events_has_its_columns(tmp_path: Path) -> None:
    events: dict[str, list[object]] = {"at_ns": [], "event": [], "task": [], "completed": []}
    write_events(tmp_path / "e.parquet", events)
    assert pq.read_table(tmp_path / "e.parquet").column_names == list(events)
