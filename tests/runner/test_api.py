"""What people use in notebooks; the page about it is docs/analysis.md."""

import re
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import pytest

import runner
from runner.config.errors import UserError
from runner.trial.status import Status

ROOT = Path(__file__).parents[2]
HOST = ROOT / "docs" / "results" / "experiments_host"
THRESHOLDS = HOST / "threshold_sweep.zip"


def test_a_sweep_has_its_runs_values_figures_and_tables() -> None:
    sweep = runner.load(THRESHOLDS)
    assert sweep.swept == ("xsched.threshold",)
    assert sweep.record.command.startswith("python -m runner experiment=threshold_sweep")
    chosen = sweep.select("arm=xsched xsched.threshold=64")
    assert {run.repeat for run in chosen} == set(range(sweep.record.repeats))
    assert {run.status for run in chosen} == {Status.FINISHED}
    first = chosen[0]
    assert first.parameters["xsched.threshold"] == 64
    p50 = first.figure("p50_ms/highest")
    assert p50 is not None
    assert p50.interval is not None
    assert p50.value in p50.interval
    requests = first.requests()
    assert {"task", "scheduled_ns", "started_ns", "completed_ns"} <= set(requests.column_names)
    assert len(first.events()) > 0


def test_what_was_recorded_before_there_were_lead_ins_had_none() -> None:
    """Its figures, computed anew, are those that it was recorded with."""
    for run in runner.load(THRESHOLDS)[:4]:
        assert run.parameters["task_set.lead_in_s"] == 0
        assert not any(run.requests()["lead_in"].to_pylist())
        for name, recorded in run.summary.figures.items():
            computed = run.figure(name)
            assert computed is not None, name
            assert computed.value == pytest.approx(recorded.value), name


def test_figures_are_one_table_that_pandas_reads() -> None:
    sweep = runner.load(THRESHOLDS)
    table = sweep.figures("p50_ms/highest", "stp")
    assert len(table) == sum(1 + (run.arm != "solo") for run in sweep)
    frame = table.to_pandas()
    latency = frame[frame.figure == "p50_ms/highest"].drop(columns="xsched.threshold")
    known = latency.dropna()
    assert len(known) > len(latency) / 2
    assert (known.low <= known.value).all()
    assert (latency.unit == "ms").all()
    medians = latency.groupby("arm").value.median()
    assert medians["solo"] < medians["xsched"]


def test_a_run_alone_is_the_one_of_its_sweep(tmp_path: Path) -> None:
    sweep = runner.load(THRESHOLDS)
    (again,) = runner.load(sweep[3].folder)
    assert (again.name, again.repeat, again.values) == (
        sweep[3].name,
        sweep[3].repeat,
        sweep[3].values,
    )
    assert again.figure("p99_ms/urgent") == sweep[3].figure("p99_ms/urgent")


def test_what_is_no_run_or_no_figure_is_said_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        runner.load(tmp_path / "nothing")
    with pytest.raises(UserError, match="did you mean: p99_ms"):
        runner.load(THRESHOLDS)[0].figure("p99ms/urgent")


def test_loading_many_runs_is_quick_and_takes_nothing_heavy(tmp_path: Path) -> None:
    """Of time only the order is asserted; `python -m benchmarks load` says the figure."""
    code = (
        "import sys, runner; sweep = runner.load(sys.argv[1]); "
        "print(len(sweep), *sorted({'torch', 'mlflow', 'matplotlib', 'scipy.special'} "
        "& set(sys.modules)))"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "docs/results/validation/1/runs.zip")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""
    count, *heavy = done.stdout.split()
    assert int(count) >= 50
    assert heavy == []
    assert time.perf_counter() - started < 20


def test_the_page_draws_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "analysis.md").read_text()
    (code,) = re.findall(r"```python title=figure\n(.*?)```", page, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 14
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("paper.zip", str(THRESHOLDS)), "docs/analysis.md", "exec"), {})
    assert (tmp_path / "p99.pdf").stat().st_size > 1000


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ("xsched", "selector=xsched: not understood"),
        ("arm = xsched", "not understood"),
        ("arn=xsched", "selector=arn=xsched: no run has that key"),
        ("xsched.treshold=64", "did you mean: xsched.threshold"),
    ],
)
def test_a_selector_that_means_nothing_is_refused(selector: str, says: str) -> None:
    sweep = runner.load(THRESHOLDS)
    with pytest.raises(UserError, match=says):
        sweep.select(selector)
    assert sweep.select("arm=xsched xsched.threshold=5") == ()
    assert sweep.select("model=bert_mini") == sweep.runs
