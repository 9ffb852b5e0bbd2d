import os
from dataclasses import replace
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.sweep.plan import Planned, expand, run_name
from runner.sweep.run import create_folder, one_writer
from xsched_bindings.types import PreemptLevel


def named(of: str = "xsched", level: PreemptLevel = PreemptLevel.block, **values: str) -> str:
    config = Config()
    config.arm.name = of
    config.task_set.tasks = {"a": TaskConfig()}
    trial = resolve(config)
    point = Planned([], {key.replace("__", "."): value for key, value in values.items()})
    point.trial = replace(trial, tasks=tuple(replace(task, level=level) for task in trial.tasks))
    return run_name(point)


def test_points_are_all_combinations_in_order() -> None:
    points = expand(["task_set=smoke", "xsched.threshold=4,8", "seed=range(1,3)"])
    assert [point.values for point in points] == [
        {"xsched.threshold": t, "seed": s} for t in ("4", "8") for s in ("1", "2")
    ]
    assert points[0].overrides == ["task_set=smoke", "xsched.threshold=4", "seed=1"]


def test_without_a_swept_key_there_is_one_point() -> None:
    (point,) = expand(["task_set=smoke"])
    assert point.values == {}


def test_names_are_short() -> None:
    assert named() == "block"
    assert named(xsched__threshold="4") == "block-t4"
    assert named(level=PreemptLevel.interrupt, xsched__threshold="4", xsched__batch_size="2") == (
        "interrupt-t4-b2"
    )
    assert named("native", arm="native") == "native"
    assert named("xsched", arm="xsched") == "xsched"
    assert named("xsched_null", xsched__threshold="4") == "null-t4"
    assert named(model="bert_mini", seed="1") == "block-bert_mini-seed=1"


def test_a_name_is_a_file_name() -> None:
    assert named(**{"task_set__tasks__a__model__name": "x/y z"}) == "block-name=x_y_z"


def test_two_sweeps_of_one_second_get_a_folder_each(tmp_path: Path) -> None:
    point = Planned([], {})
    point.config.output_root = str(tmp_path)
    point.config.task_set.tasks = {"a": TaskConfig()}
    point.trial = resolve(point.config)
    folders = {create_folder(point) for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() for folder in folders)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    point = Planned([], {})
    point.config.output_root = str(tmp_path / "file" / "below")
    point.config.task_set.tasks = {"a": TaskConfig()}
    point.trial = resolve(point.config)
    with (
        pytest.raises(UserError, match="cannot be written: Not a directory: "),
        one_writer(point.config, "0123456789ab"),
    ):
        pass


# --- one writer ----------------------------------------------------------------------------------


def config(root: Path, wait: bool = True) -> Config:
    made = Config()
    made.output_root, made.sweep.wait = str(root), wait
    return made


def test_a_sweep_has_one_writer_and_others_have_theirs(tmp_path: Path) -> None:
    with one_writer(config(tmp_path), "0123456789ab"):
        with (
            pytest.raises(UserError, match=rf"sweep.wait=false: .* by process {os.getpid()} on"),
            one_writer(config(tmp_path, wait=False), "0123456789ab"),
        ):
            pass
        with one_writer(config(tmp_path, wait=False), "another"):
            pass
    with one_writer(config(tmp_path, wait=False), "0123456789ab"):
        pass


def test_locks_are_for_all_users_of_the_machine(tmp_path: Path) -> None:
    with one_writer(config(tmp_path / "out"), "0123456789ab"):
        pass
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o666]


def test_an_error_of_the_sweep_is_no_error_of_its_place(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        one_writer(config(tmp_path), "0123456789ab"),
    ):
        raise FileNotFoundError
