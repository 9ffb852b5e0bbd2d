"""MLflow stores, and sweeps that wait to be logged."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from runner.runs.load import load
from runner.runs.sweep import Sweep
from tests.runner.run_folders import MadeTask, write_run, write_sweep


def sweep_of(folder: Path, repeats: int, identity: str = "def") -> Sweep:
    """Of so many repeats of one point."""
    entries = []
    for number in range(repeats):
        name = f"r{number}"
        task = MadeTask([10.0 + number, 20.0], 1)
        write_run(folder / name, "native", {"urgent": task}, config_hash=f"abc{number}")
        entries.append({"folder": name, "arm": "native", "repeat": number, "values": {"key": "a"}})
    return load(write_sweep(folder, entries, repeats=repeats, identity=identity))


def by_id(uri: str, view: int = ViewType.ACTIVE_ONLY) -> dict[str, Run]:
    """All runs that a store has."""
    client = MlflowClient(uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return {run.info.run_id: run for run in client.search_runs(experiments, run_view_type=view)}
