import json
from pathlib import Path

import pytest

from runner.runs import files, view
from runner.runs.record import Logged
from runner.runs.sweep import Sweep
from tests.runner.stores import sweep_of

DATABASE = "sqlite:////a b/mlflow.db"


def logged(folder: Path, uri: str, runs: int = 2) -> Sweep:
    """A sweep that is logged to a store."""
    sweep = sweep_of(folder, runs)
    for at, each in enumerate(run.folder for run in sweep):
        files.write_json(each / files.LOGGED, Logged(f"run{at}", uri, "7"))
    if runs > 1:
        files.write_json(folder / files.LOGGED, Logged("parent", uri, "7"))
    return sweep


def test_the_link_opens_the_runs_of_the_sweep(tmp_path: Path) -> None:
    page = "runs?workflowType=machine_learning&viewStateShareKey=parent"
    sweep = logged(tmp_path / "sweep", DATABASE)
    assert view.link(sweep) == f"http://127.0.0.1:5000/#/experiments/7/{page}"


def test_the_link_leads_to_the_server_that_has_the_runs(tmp_path: Path) -> None:
    sweep = logged(tmp_path / "sweep", "https://server/")
    assert view.link(sweep).startswith("https://server/#/experiments/7/runs?")
    assert view.served_by(sweep) == ""


def test_a_single_run_has_its_own_page(tmp_path: Path) -> None:
    sweep = logged(tmp_path / "sweep", DATABASE, runs=1)
    assert view.link(sweep) == "http://127.0.0.1:5000/#/experiments/7/runs/run0"


def test_what_is_not_logged_has_no_page(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 2)
    assert view.link(sweep) == ""
    assert view.served_by(sweep) == ""


def test_the_command_serves_the_store_that_was_used(tmp_path: Path) -> None:
    command = "python -m mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db'"
    assert view.served_by(logged(tmp_path / "sweep", DATABASE)) == command


@pytest.mark.parametrize("swept", [0, 1, 2, 3])
@pytest.mark.parametrize("primary", ["p99_ms/priority_1", "p99_ms/a-task-of-a-very-long-name", ""])
def test_the_figure_is_left_of_the_edge_however_long_names_are(swept: int, primary: str) -> None:
    keys = [f"task_set.tasks.background-{at}.arrival.process" for at in range(swept)]
    page = json.loads(view.described("parent", keys, primary))
    first = ["tags.`arm`", *(f"params.`{key}`" for key in keys)]
    first += [f"metrics.`{primary}`"] if primary else []
    assert page["columnOrder"][: len(first)] == first
    assert sum(page["columnWidths"][each] for each in first) <= view.ROOM


def test_a_short_name_is_not_cut() -> None:
    page = json.loads(view.described("parent", ["xsched.threshold"], "p99_ms/highest"))
    assert page["columnWidths"]["params.`xsched.threshold`"] == 16 * view.CHARACTER + view.BESIDE
