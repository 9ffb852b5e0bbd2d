"""Whether results are whole, judged by their files and by nothing of the runner's own checks."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from runner.runs.load import load
from runner.trial.status import Status


def results(root: Path) -> dict[Path, bytes]:
    """Runs that the runner takes for results, with their record. Raises AssertionError for one
    that is not whole."""
    found = {}
    for sweep in sorted(path.parent for path in root.glob("*/sweep.json")):
        for run in load(sweep):
            if run.status is Status.FINISHED:
                check(run.folder)
                found[run.folder] = (run.folder / "summary.json").read_bytes()
    return found


def check(folder: Path) -> None:
    """What was measured is all there, and of this run."""
    record = json.loads((folder / "summary.json").read_text())
    rows = pq.read_table(folder / "requests.parquet").to_pylist()
    marks = pq.read_table(folder / "marks.parquet").to_pylist()
    for name, task in record["tasks"].items():
        mine = [row for row in rows if row["task"] == name]
        counted = [row for row in mine if not row["warmup"]]
        assert len(counted) - sum(row["extra"] for row in counted) == task["requests"] > 0, name
        ran = {row["request"] for row in mine if row["lead_in"] or not row["warmup"]}
        assert {row["request"] for row in marks if row["task"] == name} == ran, name
    pq.read_table(folder / "events.parquet")
    assert json.loads((folder / "proof.json").read_text())["verdict"] == record["proof"]
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["time"]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["arm"]["name"] == record["arm"]


def all_whole(root: Path, runs: int) -> None:
    """One sweep has its runs, each with all that is made of it, and says so."""
    (sweep,) = (path.parent for path in root.glob("*/sweep.json"))
    entries = json.loads((sweep / "sweep.json").read_text())["runs"]
    assert [entry["status"] for entry in entries] == ["FINISHED"] * runs
    assert len(results(root)) == runs
    for entry in entries:
        there = {path.name for path in (sweep / entry["folder"]).iterdir()}
        assert there >= {"trace.json", "latency_cdf.png", "timeline.png"}
        assert "problems.json" not in there
