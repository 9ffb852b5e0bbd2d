"""A logged run again: what differs, that it is the same measurement, then and now."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runner.commands import replay
from runner.commands import run as runner
from runner.commands.replay import differences, remarks
from runner.config.errors import UserError
from runner.platforms.device import DeviceOrigin, GpuInfo, GpuSettings, TorchBuild
from runner.proof.checks import Verdict
from runner.runs import files, provenance
from runner.runs.load import load
from runner.runs.provenance import facts
from runner.runs.record import (
    Code,
    Environment,
    Figure,
    Load,
    Provenance,
    Summary,
    TaskSummary,
)
from runner.runs.run import read_run
from runner.trial.status import Status
from tests import forked
from tests.conftest import ROOT, environment
from tests.runner.run_folders import MadeTask, write_repeats, write_run
from tests.runner.zips import unpacked

SHA = "5ae022eb54b07ee6b0"
GPU = GpuInfo("nvidia", 0, "A GPU", "GPU-1", "0000:3b:00.0", "580", (9, 0), "sm_90", 81559)
SETTINGS = GpuSettings(True, "default", False, True, 700.0, 700.0, 1980, 1980, None)
MODERN = Provenance(
    time="2026-01-02T03:04:05+00:00",
    code=Code("a" * 40),
    environment=Environment(
        python="3.12.3",
        system="Linux-6",
        cpu="A processor",
        cores=8,
        governor="performance",
        memory_gib=23.5,
        libraries={"torch": "2.11.0", "numpy": "2.5.2"},
    ),
    load_before=Load(0.1),
    device=DeviceOrigin(
        (6, 7), GPU, SETTINGS, TorchBuild("2.11.0", "13.0"), {"libpreempt.so": SHA}
    ),
)


# ---------------------------------------------------------------------- differences


def test_the_same_environment_differs_in_nothing() -> None:
    busier = replace(
        MODERN,
        time="later",
        environment=replace(MODERN.environment, memory_gib=12.0),
        load_before=Load(9.0),
    )
    assert differences(facts(MODERN), facts(busier)) == []


def test_every_difference_that_matters_is_a_line() -> None:
    gpu = replace(GPU, name="Another GPU", driver="590", index=1, compute_capability=(8, 0))
    now = replace(
        MODERN,
        code=Code("b" * 40, "x", "c" * 64),
        environment=replace(
            MODERN.environment,
            python="3.11.7",
            cpu="Another processor",
            cores=2,
            governor="",
            libraries={"torch": "2.13.0+cpu", "numpy": "2.5.2", "mlflow": "3.17"},
        ),
        xsched_variables={"XSCHED_POLICY": "GBL"},
        device=DeviceOrigin(
            (1,),
            gpu,
            replace(SETTINGS, applications_sm_clock_mhz=1200, ecc=False),
            TorchBuild("2.13.0"),
        ),
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
        "gpu ecc: was yes, is no",
        "gpu applications sm clock mhz: was 1980, is 1200",
        "torch cuda: was 13.0, is none",
        "libpreempt.so: was 5ae022eb54b0, is none",
        "mlflow: was none, is 3.17",
        "XSCHED_POLICY: was none, is GBL",
    ]


def test_a_machine_without_the_gpu_and_a_run_without_provenance() -> None:
    without = replace(MODERN, device=DeviceOrigin())
    assert "gpu name: was A GPU, is none" in differences(facts(MODERN), facts(without))
    assert not any(facts(Provenance()).values())


def test_what_gpu_runs_recorded_is_compared() -> None:
    """Runs of a real GPU, which are in this repository."""
    folder = ROOT / "docs" / "results" / "h100"
    (run, *_) = sorted(path.parent for path in folder.glob("six_bert-*/xsched*/provenance.json"))
    found = facts(files.read_provenance(run))
    for name in ("gpu name", "gpu driver", "gpu power limit w", "gpu applications sm clock mhz"):
        assert found[name]
    assert len(found["libpreempt.so"]) == provenance.DIGITS


def test_changes_of_before_there_were_checksums_are_compared_by_what_is_recorded() -> None:
    old, same, other = (Provenance(code=Code("a", diff)) for diff in ("x", "x", "y"))
    assert differences(facts(old), facts(same)) == []
    assert len(differences(facts(old), facts(other))) == 1


# ---------------------------------------------------------------------- then and now


def test_remarks_name_what_makes_two_runs_differ_by_themselves() -> None:
    task = TaskSummary(priority=1, solo_ms=10.0, offered_rps=5.0)
    closed = TaskSummary(priority=0, solo_ms=10.0)
    then = Summary(
        name="r",
        status=Status.FINISHED,
        valid=True,
        level="block",
        proof=Verdict.PROVEN,
        config_hash="a",
        tasks={"open": task, "closed": closed},
    )
    assert remarks(then, then) == []
    tasks = {"open": replace(task, solo_ms=12.0), "closed": replace(closed, solo_ms=12.0)}
    assert remarks(then, replace(then, config_hash="b", tasks=tasks)) == [
        "not the same measurement, config hash: was a, is b",
        "open alone took 10.00 ms, takes 12.00 ms: arrivals by load are spaced by it",
    ]
    assert remarks(then, Summary.failed("r", "no GPU")) == [
        "status: was FINISHED, is FAILED",
        "reason: was none, is no GPU",
        "valid: was yes, is no",
        "proof: was proven, is none",
        "level in effect: was block, is none",
        "not the same measurement, config hash: was a, is none",
    ]


def test_then_and_now_are_shown_of_the_priorities_that_either_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tasks = {"a": TaskSummary(priority=2), "b": TaskSummary(priority=1)}
    figures = {"p50_ms/priority_2": Figure(4.0), "p99_ms/priority_2": Figure(8.0)}
    now = Summary(name="r", status=Status.FINISHED, tasks=tasks, figures=figures)
    replay._compare(replace(now, tasks={"b": tasks["b"]}, figures={}), now)
    shown = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in shown if line.split()[:1] in (["1"], ["2"])]
    assert rows == [
        ["2", "–", "4.0", "–", "–", "8.0", "–"],
        ["1", "–", "–", "–", "–", "–", "–"],
    ]


def test_a_sweep_is_no_run_and_its_runs_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = write_repeats(tmp_path / "sweep", {"native": [[1.0]], "xsched": [[1.0]]})
    monkeypatch.setattr(replay, "load", lambda run, uri: load(sweep))
    with pytest.raises(UserError, match=r"is a sweep, and its runs are native-r0, xsched-r0"):
        replay.found("0" * 32, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", " is no configuration"),
        ("- 1", ", line 1: holds no keys"),
        ("a: [", ", line 2: "),
        ("7", ", line 1: holds no keys"),
    ],
)
def test_what_is_no_configuration_is_said(content: str, problem: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "native", {"a": MadeTask([1.0])})
    (run / files.CONFIG).write_text(content)
    with pytest.raises(UserError, match=rf"config\.yaml{problem}"):
        replay.found(str(run), None)


def test_a_run_of_version_1_is_found_with_what_is_known_of_it() -> None:
    """As `runner.export` packed it, and as somebody unpacked it."""
    with unpacked(ROOT / "docs" / "results" / "experiments_h100" / "fixed_priority.zip") as z:
        (folder, *_) = sorted(path.parent for path in z.glob(f"xsched*/{files.CONFIG}"))
        original = replay.found(str(folder), None)
        assert (original.status, original.arm) == (Status.FINISHED, "xsched")
        assert original.provenance.is_known
        assert remarks(original.summary, original.summary) == []
        assert set(replay._cells(original.summary, original.summary, 1)) > {"1.00"}
        replay._check_overrides(["xsched.threshold=4"])
        now = provenance.present(replay._device(original.parameters))
        assert any(
            line.startswith("gpu name: was ")
            for line in replay.differences(facts(original.provenance), facts(now))
        )


def test_it_writes_where_the_run_was_written_if_that_place_is_here(tmp_path: Path) -> None:
    def place(root: str, *overrides: str) -> Path:
        return replay._output_root({"output_root": root}, list(overrides))

    assert place(str(tmp_path)) == tmp_path
    assert place("results") == Path("results")
    assert place("/home/somebody/else/outputs") == Path("outputs")
    assert place(str(tmp_path), "output_root=a", "output_root='b c'") == Path("b c")


# ------------------------------------------------------------------------- real runs


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return forked.run(replay.main, *arguments, cwd=cwd, environment=environment())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """A folder below which a sweep with two repeats has been run and logged."""
    folder = tmp_path_factory.mktemp("replay")
    sweep = ("task_set=smoke", "task_set.requests=5", "arm=native", "sweep.repeats=2", "seed=7")
    (folder / "outputs").mkdir()
    shutil.copy(database, folder / "outputs" / "mlflow.db")
    done = forked.run(runner.main, *sweep, "warmup=1", cwd=folder, environment=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def second(place: Path) -> Path:
    """The second repeat's folder."""
    (found,) = place.glob("outputs/*/native-r1-*")
    return found


def sweeps(place: Path) -> set[Path]:
    return set(place.glob("outputs/*/sweep.json"))


def gaps(folder: Path) -> list[float]:
    """The first gaps of a task by load, those of the lead-in too, in solo times of the repeat."""
    solo_ms = read_run(folder).summary.tasks["urgent"].solo_ms
    assert solo_ms is not None
    rows = pq.read_table(folder / "requests.parquet").to_pandas()
    at = rows[(rows.task == "urgent") & (~rows.warmup | rows.lead_in)].scheduled_ns.sort_values()
    return [float(gap) / (solo_ms * 1e6) for gap in at.diff()[1:5]]


def test_a_repeat_runs_again_on_its_own_schedule(place: Path) -> None:
    original, before = second(place), sweeps(place)
    done = run(original, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (new,) = sweeps(place) - before
    (again,) = load(new.parent)
    assert gaps(again.folder) == pytest.approx(gaps(original), rel=1e-4)
    (first,) = place.glob("outputs/*/native-r0-*")
    assert gaps(again.folder) != pytest.approx(gaps(first), rel=1e-4)
    assert "native: then and now" in done.stdout
    assert "not the same measurement" not in done.stdout
    (table,) = done.stdout.split("then and now")[1:]
    (row,) = (line.split() for line in table.splitlines() if line.split()[:1] == ["1"])
    (then,) = load(original)
    said: list[str] = []
    for name in ("p50_ms/priority_1", "p99_ms/priority_1"):
        figures = [run.summary.figures[name].value for run in (then, again)]
        said += [*(f"{figure:.1f}" for figure in figures), f"{figures[1] / figures[0]:.2f}"]
    assert row[1:] == said


@pytest.mark.parametrize("lead_in_s", [None, 0.0, 0.2])
def test_a_run_has_the_lead_in_again_that_it_had(
    lead_in_s: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: it is from before there were any."""
    said = {} if lead_in_s is None else {"lead_in_s": lead_in_s}
    made = {"a": MadeTask([1.0])}
    write_run(tmp_path / "run", "native", made, {"task_set": {"name": "made", **said}})
    asked: list[str] = []
    monkeypatch.setattr(runner, "run", asked.extend)
    replay._again(replay.found(str(tmp_path / "run"), None), [])
    assert f"task_set.lead_in_s={lead_in_s or 0.0}" in asked


def test_a_run_of_one_of_several_gpus_has_that_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"platform": {"name": "cuda", "devices": ["0", "1"], "device": "1"}}
    write_run(tmp_path / "run", "native", {"a": MadeTask([1.0])}, place)
    asked: list[str] = []
    monkeypatch.setattr(runner, "run", asked.extend)
    replay._again(replay.found(str(tmp_path / "run"), None), [])
    assert "platform.devices=['1']" in asked
    asked.clear()
    replay._again(replay.found(str(tmp_path / "run"), None), ["platform.devices=[0]"])
    assert not any(each.startswith("platform.devices=['1']") for each in asked)


def test_dry_shows_the_differences_and_runs_nothing(place: Path, tmp_path: Path) -> None:
    copy, before = tmp_path / "run", sweeps(place)
    shutil.copytree(second(place), copy)
    origin = files.read_provenance(copy)
    changed = replace(origin.environment, governor="a governor", libraries={"torch": "1.0"})
    files.write_json(copy / files.PROVENANCE, replace(origin, environment=changed))
    done = run("--dry", copy, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "governor: was a governor, is " in done.stdout
    assert "torch: was 1.0, is " in done.stdout
    assert "numpy: was none, is " in done.stdout
    (copy / "provenance.json").unlink()
    done = run("--dry", copy, cwd=place)
    assert "nothing is known of the run's environment" in done.stdout
    assert sweeps(place) == before


def test_a_run_is_found_by_its_mlflow_id_and_may_be_changed(place: Path) -> None:
    logged, before = files.read_logged(second(place)), sweeps(place)
    assert logged
    run_id = logged.run_id
    changes = ("task_set.requests=3", "tracking.backend=none")
    done = run(run_id, *changes, "-m", "seed=7,8", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(sweeps(place) - before) == 1
    assert done.stdout.count("then and now") == 2
    assert "not the same measurement, config hash: " in done.stdout


def test_the_exit_code_is_the_runners(place: Path) -> None:
    before = sweeps(place)
    done = run(second(place), "xsched.treshold=4", cwd=place)
    assert done.returncode == 2
    assert "did you mean: xsched.threshold" in done.stderr
    done = run(second(place), "tracking=none", cwd=place)
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
        done = run(*arguments, cwd=place)
        assert done.returncode == 2, done.stdout
        assert problem in done.stderr
        assert "Traceback" not in done.stderr
    assert not (place / "nothing.db").exists()
