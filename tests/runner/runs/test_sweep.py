from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.runs.load import load
from runner.runs.sweep import Sweep
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, write_run, write_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """native for all thresholds, xsched at 4 and 8, and a run at 16 that failed."""
    runs: list[tuple[str, str | None, list[float]]] = [
        ("native", None, [20.0] * 30),
        ("xsched", "4", [10.0] * 30),
        ("xsched", "8", [15.0] * 30),
        ("xsched", "16", [15.0]),
    ]
    entries = []
    for arm, threshold, response in runs:
        name, failed = f"{arm}-{threshold}", threshold == "16"
        status = Status.FAILED if failed else Status.FINISHED
        write_run(tmp_path / name, arm, {"urgent": MadeTask(response, 1)}, status=status)
        values = {"arm": arm, "xsched.threshold": threshold}
        entries.append({"folder": name, "values": values})
    return load(write_sweep(tmp_path, entries))


def test_its_runs_are_in_the_order_of_its_list(sweep: Sweep) -> None:
    names = ["native-None", "xsched-4", "xsched-8", "xsched-16"]
    assert [run.name for run in sweep] == names
    assert (len(sweep), sweep[1].name) == (4, "xsched-4")
    assert sweep.swept == ("xsched.threshold",), "the arm is said by itself"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("", ["native-None", "xsched-4", "xsched-8", "xsched-16"]),
        ("arm=xsched xsched.threshold=8", ["xsched-8"]),
        ("xsched.threshold=4", ["native-None", "xsched-4"]),
        ("arm=solo", []),
    ],
)
def test_a_run_that_depends_on_no_value_serves_all(
    sweep: Sweep, selector: str, names: list[str]
) -> None:
    assert [run.name for run in sweep.select(selector)] == names


def test_figures_are_a_table_with_a_row_for_each_run_that_has_them(sweep: Sweep) -> None:
    table = sweep.figures("p50_ms/highest", "p50_ms/nobody", "preemptions")
    assert table.to_pylist() == [
        {
            "run": run,
            "arm": arm,
            "repeat": 0,
            "xsched.threshold": threshold,
            "figure": "p50_ms/highest",
            "unit": "ms",
            "value": value,
            "low": value,
            "high": value,
        }
        for run, arm, threshold, value in (
            ("native-None", "native", None, 20.0),
            ("xsched-4", "xsched", "4", 10.0),
            ("xsched-8", "xsched", "8", 15.0),
        )
    ]


def test_a_metric_that_there_is_not_is_refused(sweep: Sweep) -> None:
    with pytest.raises(UserError, match="did you mean: p50_ms"):
        sweep.figures("p50ms/highest")


def test_without_a_folder_of_its_own_it_is_named_by_its_task_sets(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        config = {"task_set": {"name": name}}
        run = write_run(tmp_path / name / "run", "native", {"a": MadeTask([1.0])}, config)
        folders.append(run)
    assert load(*folders).name == "one, two"
    assert load(*folders).folder is None
