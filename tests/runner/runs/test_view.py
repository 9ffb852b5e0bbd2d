from pathlib import Path

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
