import gc
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runner.config.errors import UserError
from runner.platforms.gpu.telemetry import TELEMETRY
from runner.runs import archive, files
from runner.runs.download import Reader
from runner.runs.load import load
from runner.runs.record import Seal
from runner.runs.run import Run
from runner.runs.tracking import Tracking, log_missing
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, write_repeats, write_run, write_sweep
from tests.runner.stores import sweep_of

ONE = {"urgent": MadeTask([10.0, 20.0, 30.0], priority=1)}


def by_name(runs: Iterable[Run]) -> dict[str, Run]:
    return {run.name: run for run in runs}


# ------------------------------------------------------------------------- sweeps


def test_a_sweep_says_values_and_repeats(tmp_path: Path) -> None:
    folder = write_repeats(
        tmp_path / "sweep",
        {"native": [[1.0], [2.0]], "xsched 4": [[1.0], [2.0]]},
        {
            "native": {"arm": "native", "xsched.threshold": None},
            "xsched 4": {"arm": "xsched", "xsched.threshold": "4"},
        },
    )
    runs = by_name(load(folder))
    assert runs["xsched-4-r1"].values == {"xsched.threshold": "4"}
    assert runs["native-r1"].values == {"xsched.threshold": None}
    assert [run.repeat for run in runs.values()] == [0, 1, 0, 1]


def test_a_run_that_left_nothing_has_failed_and_a_pending_one_is_not_there(tmp_path: Path) -> None:
    write_run(tmp_path / "good", "native", ONE)
    (tmp_path / "dead").mkdir()
    entries = [
        {"folder": "good", "values": {}},
        {"folder": "dead", "values": {}, "arm": "xsched"},
        {"folder": "later", "values": {}, "status": Status.PENDING},
    ]
    runs = by_name(load(write_sweep(tmp_path, entries)))
    assert set(runs) == {"good", "dead"}
    assert (runs["dead"].status, runs["dead"].arm) == (Status.FAILED, "xsched")
    assert "without a summary" in runs["dead"].summary.reason


def test_a_run_on_its_own_knows_its_sweep(tmp_path: Path) -> None:
    folder = write_repeats(
        tmp_path / "sweep", {"xsched 8": [[1.0], [2.0]]}, {"xsched 8": {"xsched.threshold": "8"}}
    )
    (run,) = load(folder / "xsched-8-r1")
    assert (run.values, run.repeat) == ({"xsched.threshold": "8"}, 1)


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": [{}]}', '{"runs": 3}'])
def test_a_broken_sweep_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["{", "- 1", "\x00"])
def test_a_broken_configuration_is_an_unknown_one(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path / "run", "native", ONE)
    (folder / "config.yaml").write_text(text)
    (run,) = load(folder)
    assert run.parameters == {}
    assert (run.arm, run.task_set, run.repeat) == ("native", "made", 0)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        load(tmp_path)
    with pytest.raises(UserError, match="is not there"):
        load(tmp_path / "nowhere")


def test_a_run_that_wrote_no_more_than_its_configuration_has_failed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "xsched", ONE, repeat=2)
    (folder / "summary.json").unlink()
    (run,) = load(folder)
    assert (run.name, run.status, run.arm) == ("run", Status.FAILED, "xsched")
    assert (run.task_set, run.repeat) == ("made", 2)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2, "status": "LOST"}', '{"tasks": 3}'])
def test_a_damaged_summary_is_one_failed_run_among_others(tmp_path: Path, text: str) -> None:
    folder = write_repeats(tmp_path, {"native": [[1.0]], "xsched": [[1.0]]})
    (folder / "xsched-r0" / "summary.json").write_text(text)
    runs = by_name(load(folder))
    assert runs["native-r0"].status is Status.FINISHED
    assert runs["xsched-r0"].status is Status.FAILED
    assert runs["xsched-r0"].arm == "xsched"


def test_a_sweep_knows_its_folder_and_what_was_typed(tmp_path: Path) -> None:
    folder = write_repeats(tmp_path / "one", {"native": [[1.0]], "xsched": [[1.0]]})
    write_sweep(folder, [{"folder": "native-r0"}, {"folder": "xsched-r0"}], command="typed")
    sweep = load(folder)
    assert (sweep.folder, sweep.name, sweep.record.command) == (folder, "one", "typed")
    alone = load(folder / "native-r0")
    assert (alone.folder, alone.record.runs) == (folder, ())
    other = write_repeats(tmp_path / "two", {"solo": [[1.0]]})
    both = load(folder, other)
    assert (both.folder, both.name, both.record.command) == (None, "made", "")


def test_a_zip_is_kept_for_as_long_as_its_runs_are(tmp_path: Path) -> None:
    folder = write_repeats(tmp_path / "one", {"native": [[1.0]]})
    packed = {
        f"one/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()
    }
    archive.write(tmp_path / "one.zip", packed)
    (run,) = load(tmp_path / "one.zip")
    unpacked = run.folder
    gc.collect()
    assert run.tasks["urgent"].response_ms.tolist() == [1.0]
    del run
    gc.collect()
    assert not unpacked.exists()


# ------------------------------------------------------------------------- repeats


def repeats(runs: Iterable[Run]) -> list[tuple[str, int]]:
    return [(run.name, run.repeat) for run in runs]


def test_a_second_sweep_of_the_same_points_goes_on_counting(tmp_path: Path) -> None:
    arms = {"native": [[1.0], [1.0]], "xsched": [[1.0], [1.0]]}
    first, second = (write_repeats(tmp_path / name, arms) for name in ("one", "two"))
    runs = load(first, second)
    assert [run.repeat for run in runs] == [0, 1, 0, 1, 2, 3, 2, 3]


def test_a_sweep_of_other_arms_shares_the_repeats(tmp_path: Path) -> None:
    first = write_repeats(tmp_path / "one", {"native": [[1.0]]})
    second = write_repeats(tmp_path / "two", {"xsched": [[1.0]]})
    assert [run.repeat for run in load(first, second)] == [0, 0]


def test_single_runs_are_repeats_in_the_order_given(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / f"{arm}{number}", arm, ONE)
        for number in range(2)
        for arm in ("native", "xsched")
    ]
    assert sorted(repeats(load(*folders))) == [
        ("native0", 0),
        ("native1", 1),
        ("xsched0", 0),
        ("xsched1", 1),
    ]


def test_a_run_named_twice_is_one_run(tmp_path: Path) -> None:
    folder = write_repeats(tmp_path / "sweep", {"native": [[1.0]], "xsched": [[1.0]]})
    runs = load(folder, folder / "native-r0", str(folder) + "/")
    assert sorted(repeats(runs)) == [("native-r0", 0), ("xsched-r0", 0)]
    alone = write_run(tmp_path / "alone", "native", {"urgent": MadeTask([1.0])})
    shutil.copytree(alone, tmp_path / "copy of alone")
    assert len(load(alone, f"{alone}/", tmp_path / "copy of alone", alone)) == 1


def test_a_copy_of_a_sweep_is_no_further_repeat(tmp_path: Path) -> None:
    """Its intervals would be those of twice as many repeats."""
    folder = write_repeats(tmp_path / "sweep", {"native": [[1.0]], "xsched": [[1.0]]})
    shutil.copytree(folder, tmp_path / "copy")
    runs = load(folder, tmp_path / "copy", tmp_path / "copy" / "native-r0")
    assert sorted(repeats(runs)) == [("native-r0", 0), ("xsched-r0", 0)]


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(UserError, match="File name too long"):
        load("x" * 5000)


def test_seeds_are_repeats(tmp_path: Path) -> None:
    """Also if the runs of one seed stand in another order."""
    entries = []
    for seed, arm in ((0, "native"), (0, "xsched"), (1, "xsched"), (1, "native")):
        name = f"{arm}{seed}"
        write_run(tmp_path / name, arm, ONE, {"seed": seed})
        entries.append({"folder": name, "values": {"arm": arm, "seed": str(seed)}})
    runs = load(write_sweep(tmp_path, entries))
    assert {(run.name[-1], str(run.repeat)) for run in runs} == {("0", "0"), ("1", "1")}
    assert all(run.values == {} for run in runs)


# ------------------------------------------------------------------------- what was swept


def threshold(value: int, **more: object) -> dict[str, object]:
    return {"xsched": {"threshold": value, "policy": "hpf"}, "output_root": f"/{value}", **more}


def test_what_nobody_says_was_swept_is_what_configurations_differ_in(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "native", "native", ONE, threshold(4)),
        write_run(tmp_path / "t4", "xsched", ONE, threshold(4)),
        write_run(tmp_path / "t8", "xsched", ONE, threshold(8)),
    ]
    values = {run.name: run.values for run in load(*folders)}
    assert values == {
        "native": {"xsched.threshold": None},
        "t4": {"xsched.threshold": "4"},
        "t8": {"xsched.threshold": "8"},
    }


def test_a_setting_of_xsched_makes_no_difference_without_it(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", "native", ONE, threshold(4)),
        write_run(tmp_path / "b", "native", ONE, threshold(8)),
    ]
    assert [(run.values, run.repeat) for run in load(*folders)] == [({}, 0), ({}, 1)]


# ------------------------------------------------------------------------- places


OTHER_PLACES = {
    "platforms": ("xsched", {"platform": "cuda"}),
    "placements of one arm": ("native", {"placement": "processes"}),
}


@pytest.mark.parametrize("what", OTHER_PLACES)
def test_other_places_are_not_compared(tmp_path: Path, what: str) -> None:
    arm, elsewhere = OTHER_PLACES[what]
    folders = [
        write_run(tmp_path / "a", "native", ONE),
        write_run(tmp_path / "b", arm, ONE, **elsewhere),
    ]
    with pytest.raises(UserError, match=f"different {what} cannot be compared"):
        load(*folders)


def test_arms_may_need_different_placements(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", "native", ONE),
        write_run(tmp_path / "b", "xsched", ONE, placement="processes", mps=True),
    ]
    assert [run.summary.place for run in load(*folders)] == ["threads", "processes, MPS"]


def test_a_failed_run_may_have_been_anywhere(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", "native", ONE),
        write_run(tmp_path / "b", "xsched", ONE, status=Status.FAILED, placement="", platform=""),
    ]
    assert len(load(*folders)) == 2


# ------------------------------------------------------------------------- MLflow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two experiments: of single runs, and of a sweep with its parent run."""
    from mlflow import MlflowClient

    tmp_path = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)

    def log(experiment: str, name: str, arm: str, value: int) -> str:
        folder = write_run(tmp_path / experiment / name, arm, ONE, threshold(value))
        run_id: str = client.create_run(experiment, tags={"sweep": "one", "arm": arm}).info.run_id
        client.log_artifacts(run_id, str(folder))
        shutil.rmtree(folder)
        return run_id

    made = client.create_experiment("made", (tmp_path / "artifacts").as_uri())
    for name, arm, value in (("native", "native", 4), ("t4", "xsched", 4), ("t8", "xsched", 8)):
        log(made, name, arm, value)
    swept = client.create_experiment("swept", (tmp_path / "artifacts").as_uri())
    entries = [
        {
            "folder": f"{arm}{number}",
            "repeat": number,
            "values": {"arm": arm, "key": "a"},
            "mlflow_run_id": log(swept, f"{arm}{number}", arm, number),
        }
        for number in range(2)
        for arm in ("xsched", "native")
    ]
    parent = client.create_run(swept, tags={"sweep": "one"}).info.run_id
    folder = write_sweep(tmp_path / "parent", entries)
    client.log_artifact(parent, str(folder / "sweep.json"))
    return uri


def ids(store: str, experiment: str) -> list[str]:
    """The latest first."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return [run.info.run_id for run in client.search_runs([found.experiment_id])]


def test_an_experiment_in_mlflow(store: str) -> None:
    runs = by_name(load("mlflow:made", uri=store))
    assert runs["t8"].values == {"xsched.threshold": "8"}
    assert runs["native"].values == {"xsched.threshold": None}
    assert {run.repeat for run in runs.values()} == {0}
    assert runs["t8"].tasks["urgent"].response_ms.tolist() == [10, 20, 30]
    with pytest.raises(UserError, match="did you mean: made"):
        load("mlflow:mode", uri=store)


def test_the_parent_of_a_sweep_says_what_was_swept(store: str) -> None:
    parent = ids(store, "swept")[0]
    for path in ("mlflow:swept", parent):
        runs = by_name(load(path, uri=store))
        assert set(runs) == {"native0", "native1", "xsched0", "xsched1"}
        assert {(run.name[-1], run.repeat) for run in runs.values()} == {
            ("0", 0),
            ("1", 1),
        }
        assert all(run.values == {"key": "a"} for run in runs.values())


def test_sweeps_of_the_same_second_stay_apart(tmp_path: Path) -> None:
    """They have one name, and MLflow shows it as a tag of all their runs."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for place in ("here", "there"):
        assert log_missing(sweep_of(tmp_path / place / "s-1", 2, place), Tracking(uri)) == []
    assert [len(sweep) for sweep in Reader(uri).experiment("made")] == [2, 2]


def test_runs_in_mlflow_by_id(store: str) -> None:
    assert len(load(*ids(store, "made"), uri=store)) == 3
    with pytest.raises(UserError, match="cannot be read"):
        load("0" * 32, uri=store)


def test_no_store_is_made_by_asking_for_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tracking store"):
        load("mlflow:made", uri=f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_a_run_with_telemetry_is_read_back_whole(tmp_path: Path) -> None:
    """As of any GPU: its record lists a file that other runs do not have."""
    sweep = sweep_of(tmp_path / "sweep", 2)
    for run in sweep:
        pq.write_table(TELEMETRY.empty_table(), run.folder / files.TELEMETRY)
        content = (run.folder / files.TELEMETRY).read_bytes()
        summary = files.read_summary(run.folder)
        assert summary
        listed = {**(summary.files or {}), files.TELEMETRY: Seal.of(content)}
        files.write_json(run.folder / files.SUMMARY, replace(summary, files=listed))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert log_missing(load(sweep.folder), Tracking(uri)) == []
    back = load("mlflow:made", uri=uri)
    assert [(run.status, run.summary.reason) for run in back] == [(Status.FINISHED, "")] * 2
    assert (back[0].folder / files.TELEMETRY).read_bytes() == content
