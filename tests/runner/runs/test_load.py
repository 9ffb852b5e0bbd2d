import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.config.errors import UserError
from runner.runs.load import load
from runner.runs.record import RunRecord
from tests.runner.run_folders import GAP_MS, MadeTask, write_repeats, write_run, write_sweep

ONE = {"urgent": MadeTask([10.0, 20.0, 30.0], priority=1)}


def by_name(records: list[RunRecord]) -> dict[str, RunRecord]:
    return {record.name: record for record in records}


# ------------------------------------------------------------------------- one run


def test_requests_that_count(tmp_path: Path) -> None:
    configured = {"deadline_us": 25_000, "utilization": 75}
    task = MadeTask([10.0, 20.0, 30.0], 2, 5.0, extra=4, warmup=3, configured=configured)
    (record,) = load([write_run(tmp_path / "run", "native", {"urgent": task})])
    found = record.requests()["urgent"]
    assert found.response_ms.tolist() == [10, 20, 30]
    assert found.service_ms.tolist() == [5, 10, 15]
    assert found.completed_ms.tolist() == [10, 120, 230, 307, 407, 507, 607]
    assert found.window_ms == 2 * GAP_MS + 30
    assert (found.priority, found.solo_ms) == (2, 5)
    assert (found.deadline_ms, found.utilization) == (25, 75)
    assert found.throughput_rps == pytest.approx(3 / 0.23)


def test_the_window_ends_with_the_last_task_but_for_tasks_alone(tmp_path: Path) -> None:
    tasks = {"a": MadeTask([10.0] * 2), "b": MadeTask([10.0] * 5)}
    together, alone = load([write_run(tmp_path / arm, arm, tasks) for arm in ("native", "solo")])
    assert [task.window_ms for task in together.requests().values()] == [410, 410]
    assert [task.window_ms for task in alone.requests().values()] == [110, 410]


def test_a_task_without_requests_is_not_there(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "urgent_only", ONE | {"idle": MadeTask([], extra=0)})
    assert list(load([folder])[0].requests()) == ["urgent"]


def test_an_unknown_solo_time_is_not_a_number(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "native", {"a": MadeTask([1.0], solo_ms=None)})
    assert np.isnan(load([folder])[0].requests()["a"].solo_ms)


def test_suspensions_that_proved_the_level_are_timed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "xsched", {**ONE, "other": MadeTask([10.0])})
    probes = [{"task": "urgent", "quiet_ms": ms} for ms in (1.5, 2.5)]
    checks = [
        {"name": "level", "evidence": {"suspensions": probes}},
        {"name": "window", "evidence": {"suspensions": 7}},
    ]
    (folder / "proof.json").write_text(json.dumps({"verdict": "proven", "checks": checks}))
    (record,) = load([folder])
    found = record.requests()
    assert found["urgent"].preemption_ms.tolist() == [1.5, 2.5]
    assert found["other"].preemption_ms.tolist() == []


def test_lost_requests_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "native", ONE)
    (folder / "requests.parquet").unlink()
    with pytest.raises(UserError, match=r"requests\.parquet cannot be read"):
        load([folder])[0].requests()


def test_what_is_known_of_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "xsched", ONE, valid=False, status="KILLED", repeat=3)
    (record,) = load([folder])
    assert (record.arm, record.task_set, record.platform) == ("xsched", "made", "host")
    assert (record.placement, record.proof, record.status) == ("threads", "proven", "KILLED")
    assert (record.valid, record.repeat, record.values) == (False, 3, {})


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
    records = by_name(load([folder]))
    assert records["xsched-4-r1"].values == {"xsched.threshold": "4"}
    assert records["native-r1"].values == {"xsched.threshold": None}
    assert [record.repeat for record in records.values()] == [0, 1, 0, 1]


def test_a_run_that_left_nothing_has_failed_and_a_pending_one_is_not_there(tmp_path: Path) -> None:
    write_run(tmp_path / "good", "native", ONE)
    (tmp_path / "dead").mkdir()
    entries = [
        {"folder": "good", "values": {}},
        {"folder": "dead", "values": {}, "arm": "xsched"},
        {"folder": "later", "values": {}, "status": "pending"},
    ]
    records = by_name(load([write_sweep(tmp_path, entries)]))
    assert set(records) == {"good", "dead"}
    assert (records["dead"].status, records["dead"].arm) == ("FAILED", "xsched")
    assert "without a summary" in records["dead"].reason


def test_a_run_on_its_own_knows_its_sweep(tmp_path: Path) -> None:
    folder = write_repeats(
        tmp_path / "sweep", {"xsched 8": [[1.0], [2.0]]}, {"xsched 8": {"xsched.threshold": "8"}}
    )
    (record,) = load([folder / "xsched-8-r1"])
    assert (record.values, record.repeat) == ({"xsched.threshold": "8"}, 1)


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": [{}]}', '{"runs": 3}'])
def test_a_broken_sweep_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json cannot be read"):
        load([tmp_path])


@pytest.mark.parametrize("text", ["{", "- 1", "\x00"])
def test_a_broken_configuration_is_an_unknown_one(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path / "run", "native", ONE)
    (folder / "config.yaml").write_text(text)
    assert load([folder])[0].config == {}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        load([tmp_path])
    with pytest.raises(UserError, match="is not there"):
        load([tmp_path / "nowhere"])


# ------------------------------------------------------------------------- repeats


def repeats(records: list[RunRecord]) -> list[tuple[str, int]]:
    return [(record.name, record.repeat) for record in records]


def test_a_second_sweep_of_the_same_points_goes_on_counting(tmp_path: Path) -> None:
    arms = {"native": [[1.0], [1.0]], "xsched": [[1.0], [1.0]]}
    first, second = (write_repeats(tmp_path / name, arms) for name in ("one", "two"))
    records = load([first, second])
    assert [record.repeat for record in records] == [0, 1, 0, 1, 2, 3, 2, 3]


def test_a_sweep_of_other_arms_shares_the_repeats(tmp_path: Path) -> None:
    first = write_repeats(tmp_path / "one", {"native": [[1.0]]})
    second = write_repeats(tmp_path / "two", {"xsched": [[1.0]]})
    assert [record.repeat for record in load([first, second])] == [0, 0]


def test_single_runs_are_repeats_in_the_order_given(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / f"{arm}{number}", arm, ONE)
        for number in range(2)
        for arm in ("native", "xsched")
    ]
    assert sorted(repeats(load(folders))) == [
        ("native0", 0),
        ("native1", 1),
        ("xsched0", 0),
        ("xsched1", 1),
    ]


def test_a_run_named_twice_is_one_run(tmp_path: Path) -> None:
    folder = write_repeats(tmp_path / "sweep", {"native": [[1.0]], "xsched": [[1.0]]})
    records = load([folder, folder / "native-r0", str(folder) + "/"])
    assert sorted(repeats(records)) == [("native-r0", 0), ("xsched-r0", 0)]


def test_seeds_are_repeats(tmp_path: Path) -> None:
    """Also if the runs of one seed stand in another order."""
    entries = []
    for seed, arm in ((0, "native"), (0, "xsched"), (1, "xsched"), (1, "native")):
        name = f"{arm}{seed}"
        write_run(tmp_path / name, arm, ONE, {"seed": seed})
        entries.append({"folder": name, "values": {"arm": arm, "seed": str(seed)}})
    records = load([write_sweep(tmp_path, entries)])
    assert {(record.name[-1], str(record.repeat)) for record in records} == {("0", "0"), ("1", "1")}
    assert all(record.values == {} for record in records)


# ------------------------------------------------------------------------- what was swept


def threshold(value: int, **more: object) -> dict[str, object]:
    return {"xsched": {"threshold": value, "policy": "hpf"}, "output_root": f"/{value}", **more}


def test_what_nobody_says_was_swept_is_what_configurations_differ_in(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "native", "native", ONE, threshold(4)),
        write_run(tmp_path / "t4", "xsched", ONE, threshold(4)),
        write_run(tmp_path / "t8", "xsched", ONE, threshold(8)),
    ]
    values = {record.name: record.values for record in load(folders)}
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
    assert [(record.values, record.repeat) for record in load(folders)] == [({}, 0), ({}, 1)]


# ------------------------------------------------------------------------- places


@pytest.mark.parametrize(("key", "other"), [("placement", "processes"), ("platform", "cuda")])
def test_other_places_are_not_compared(tmp_path: Path, key: str, other: str) -> None:
    elsewhere: dict[str, Any] = {key: other}
    folders = [
        write_run(tmp_path / "a", "native", ONE),
        write_run(tmp_path / "b", "xsched", ONE, **elsewhere),
    ]
    with pytest.raises(UserError, match=f"different {key}s cannot be compared"):
        load(folders)


def test_a_failed_run_may_have_been_anywhere(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a", "native", ONE),
        write_run(tmp_path / "b", "xsched", ONE, status="FAILED", placement="", platform=""),
    ]
    assert len(load(folders)) == 2


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
    records = by_name(load(["mlflow:made"], store))
    assert records["t8"].values == {"xsched.threshold": "8"}
    assert records["native"].values == {"xsched.threshold": None}
    assert {record.repeat for record in records.values()} == {0}
    assert records["t8"].requests()["urgent"].response_ms.tolist() == [10, 20, 30]
    with pytest.raises(UserError, match="did you mean: made"):
        load(["mlflow:mode"], store)


def test_the_parent_of_a_sweep_says_what_was_swept(store: str) -> None:
    parent = ids(store, "swept")[0]
    for path in ("mlflow:swept", parent):
        records = by_name(load([path], store))
        assert set(records) == {"native0", "native1", "xsched0", "xsched1"}
        assert {(record.name[-1], record.repeat) for record in records.values()} == {
            ("0", 0),
            ("1", 1),
        }
        assert all(record.values == {"key": "a"} for record in records.values())


def test_runs_in_mlflow_by_id(store: str) -> None:
    assert len(load(ids(store, "made"), store)) == 3
    with pytest.raises(UserError, match="cannot be read"):
        load(["0" * 32], store)


def test_no_store_is_made_by_asking_for_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tracking store"):
        load(["mlflow:made"], f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()
