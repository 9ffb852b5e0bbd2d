"""A logged run again: what differs, that it is the same measurement, then and now."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from runner.commands import replay
from runner.commands.replay import differences, facts, remarks
from runner.runs import provenance
from tests.conftest import ROOT, command, environment

MODERN = {
    "code": {"commit": "a" * 40, "diff": "", "diff_sha256": ""},
    "environment": {
        "python": "3.12.3",
        "system": "Linux-6",
        "cpu": "A processor",
        "cores": 8,
        "governor": "performance",
        "memory_gib": 23.5,
        "libraries": {"torch": "2.11.0", "numpy": "2.5.2"},
    },
    "xsched_variables": {},
    "load_before": {"load_1min": 0.1},
    "device": {
        "gpu": {"name": "A GPU", "driver": "580", "index": 0, "compute_capability": [9, 0]},
        "settings": {"applications_sm_clock_mhz": 1980, "ecc": True},
        "torch": {"version": "2.11.0", "cuda": "13.0"},
        "xsched_libraries": {"libpreempt.so": "5ae022eb54b07ee6b0"},
        "device_cores": [6, 7],
    },
}


def changed(**parts: dict[str, Any]) -> dict[str, Any]:
    made = json.loads(json.dumps(MODERN))
    for name, values in parts.items():
        made[name] |= values
    return dict(made)


# ---------------------------------------------------------------------- differences


def test_the_same_environment_differs_in_nothing() -> None:
    busier = changed(environment={"memory_gib": 12.0}, load_before={"load_1min": 9.0})
    assert differences(facts(MODERN), facts(busier)) == []


def test_every_difference_that_matters_is_a_line() -> None:
    gpu = {"name": "Another GPU", "driver": "590", "index": 1, "compute_capability": [8, 0]}
    now = changed(
        code={"commit": "b" * 40, "diff": "x", "diff_sha256": "c" * 64},
        environment={
            "python": "3.11.7",
            "cpu": "Another processor",
            "cores": 2,
            "governor": "",
            "libraries": {"torch": "2.13.0+cpu", "numpy": "2.5.2", "mlflow": "3.17"},
        },
        xsched_variables={"XSCHED_POLICY": "GBL"},
        device={
            "gpu": gpu,
            "settings": {"applications_sm_clock_mhz": 1200, "ecc": False},
            "torch": {"version": "2.13.0", "cuda": None},
            "xsched_libraries": {},
            "device_cores": [1],
        },
    )
    assert differences(facts(MODERN), facts(now)) == [
        "commit: was aaaaaaaaaaaa, is bbbbbbbbbbbb",
        "uncommitted changes: was none, is cccccccccccc",
        "python: was 3.12.3, is 3.11.7",
        "cpu: was A processor, is Another processor",
        "cores: was 8, is 2",
        "governor: was performance, is none",
        "torch: was 2.11.0, is 2.13.0+cpu",
        "device cores: was 6 7, is 1",
        "gpu name: was A GPU, is Another GPU",
        "gpu driver: was 580, is 590",
        "gpu compute capability: was 9 0, is 8 0",
        "gpu applications sm clock mhz: was 1980, is 1200",
        "gpu ecc: was yes, is no",
        "torch cuda: was 13.0, is none",
        "libpreempt.so: was 5ae022eb54b0, is none",
        "mlflow: was none, is 3.17",
        "XSCHED_POLICY: was none, is GBL",
    ]


def test_a_machine_without_the_gpu_and_a_run_without_provenance() -> None:
    assert "gpu name: was A GPU, is none" in differences(facts(MODERN), facts({"device": {}}))
    assert not any(facts({}).values())


def test_what_gpu_runs_recorded_is_compared() -> None:
    """Runs of a real GPU, which are in this repository."""
    (path, *_) = sorted((ROOT / "docs" / "results" / "h100").glob("six_bert-*/xsched*/prov*.json"))
    found = facts(json.loads(path.read_text()))
    for name in ("gpu name", "gpu driver", "gpu power limit w", "gpu applications sm clock mhz"):
        assert found[name]
    assert len(found["libpreempt.so"]) == provenance.DIGITS


def test_changes_of_before_there_were_checksums_are_compared_by_what_is_recorded() -> None:
    old, same, other = ({"code": {"commit": "a", "diff": diff}} for diff in ("x", "x", "y"))
    assert differences(facts(old), facts(same)) == []
    assert len(differences(facts(old), facts(other))) == 1


# ---------------------------------------------------------------------- then and now


def test_remarks_name_what_makes_two_runs_differ_by_themselves() -> None:
    task = {"solo_ms": 10.0, "offered_rps": 5.0}
    closed = {"solo_ms": 10.0, "offered_rps": None}
    then = {"status": "FINISHED", "config_hash": "a", "tasks": {"open": task, "closed": closed}}
    assert remarks(then, then) == []
    tasks = {"open": task | {"solo_ms": 12.0}, "closed": closed | {"solo_ms": 12.0}}
    assert remarks(then, then | {"config_hash": "b", "tasks": tasks}) == [
        "not the same measurement, config hash: was a, is b",
        "open alone took 10.00 ms, takes 12.00 ms: arrivals by load are spaced by it",
    ]
    failed = remarks(then, {"status": "FAILED", "reason": "no GPU"})
    assert failed[:2] == ["status: was FINISHED, is FAILED", "reason: was none, is no GPU"]


def test_it_writes_where_the_run_was_written_if_that_place_is_here(tmp_path: Path) -> None:
    def place(root: str, *overrides: str) -> Path:
        return replay._output_root({"output_root": root}, list(overrides))

    assert place(str(tmp_path)) == tmp_path
    assert place("results") == Path("results")
    assert place("/home/somebody/else/outputs") == Path("outputs")
    assert place(str(tmp_path), "output_root=a", "output_root='b c'") == Path("b c")


# ------------------------------------------------------------------------- real runs


def run(module: str, *arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder below which a sweep with two repeats has been run and logged."""
    folder = tmp_path_factory.mktemp("replay")
    sweep = ("task_set=smoke", "task_set.requests=5", "arm=native", "sweep.repeats=2", "seed=7")
    done = subprocess.run(
        command(*sweep, "warmup=1"), cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def second(place: Path) -> Path:
    """The second repeat's folder."""
    (found,) = place.glob("outputs/*/native-r1-*")
    return found


def sweeps(place: Path) -> set[Path]:
    return set(place.glob("outputs/*/sweep.json"))


def schedule(folder: Path, task: str = "urgent") -> list[int]:
    rows = pq.read_table(folder / "requests.parquet").to_pandas()
    counted = rows[(rows.task == task) & ~rows.warmup & ~rows.extra]
    return [int(at) for at in counted.scheduled_ns]


def test_a_repeat_runs_again_on_its_own_schedule(place: Path) -> None:
    original, before = second(place), sweeps(place)
    done = run("runner.replay", original, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (new,) = sweeps(place) - before
    (again,) = new.parent.glob("*/summary.json")
    assert schedule(again.parent) == schedule(original)
    (first,) = place.glob("outputs/*/native-r0-*")
    assert schedule(again.parent) != schedule(first)
    assert "native: then and now" in done.stdout
    assert "not the same measurement" not in done.stdout
    for summary in (original / "summary.json", again):
        figures = json.loads(summary.read_text())["priorities"]["1"]["latency_ms"]
        assert f" {figures['p99']:.1f} " in done.stdout.split("then and now")[1]


def test_dry_shows_the_differences_and_runs_nothing(place: Path, tmp_path: Path) -> None:
    copy, before = tmp_path / "run", sweeps(place)
    shutil.copytree(second(place), copy)
    origin = json.loads((copy / "provenance.json").read_text())
    origin["environment"] |= {"governor": "a governor", "libraries": {"torch": "1.0"}}
    (copy / "provenance.json").write_text(json.dumps(origin))
    done = run("runner.replay", "--dry", copy, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "governor: was a governor, is " in done.stdout
    assert "torch: was 1.0, is " in done.stdout
    assert "numpy: was none, is " in done.stdout
    (copy / "provenance.json").unlink()
    done = run("runner.replay", "--dry", copy, cwd=place)
    assert "nothing is known of the run's environment" in done.stdout
    assert sweeps(place) == before


def test_a_run_is_found_by_its_mlflow_id_and_may_be_changed(place: Path) -> None:
    run_id = json.loads((second(place) / "summary.json").read_text())["mlflow_run_id"]
    before = sweeps(place)
    changes = ("task_set.requests=3", "tracking.backend=none")
    done = run("runner.replay", run_id, *changes, "-m", "seed=7,8", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(sweeps(place) - before) == 1
    assert done.stdout.count("then and now") == 2
    assert "not the same measurement, config hash: " in done.stdout


def test_the_exit_code_is_the_runners(place: Path) -> None:
    before = sweeps(place)
    done = run("runner.replay", second(place), "xsched.treshold=4", cwd=place)
    assert done.returncode == 2
    assert "did you mean: xsched.threshold" in done.stderr
    done = run("runner.replay", second(place), "tracking=none", cwd=place)
    assert done.returncode == 2
    assert "tracking=none: a logged configuration has values" in done.stderr
    assert "tracking.backend" in done.stderr
    assert sweeps(place) == before


def test_what_is_no_run_is_said(place: Path) -> None:
    (sweep,) = {path.parent.parent for path in place.glob("outputs/*/native-r1-*/config.yaml")}
    for arguments, problem in (
        (["nothing"], "nothing is not there"),
        ([sweep], "holds several runs: native-r0-"),
        ([place], "is no run: it has no config.yaml"),
        (["0" * 32], "MLflow run 00000000"),
        (["0" * 32, "--uri", "sqlite:///nothing.db"], "there is no tracking store"),
    ):
        done = run("runner.replay", *arguments, cwd=place)
        assert done.returncode == 2, done.stdout
        assert problem in done.stderr
        assert "Traceback" not in done.stderr
    assert not (place / "nothing.db").exists()
