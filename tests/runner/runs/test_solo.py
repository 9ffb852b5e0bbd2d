import json
from dataclasses import replace
from pathlib import Path

from models import ModelSpec
from runner.runs import solo

A, B = ModelSpec("bert_base", size=128), ModelSpec("bert_base", size=64)


def test_what_was_measured_once_is_kept_for_this_machine(tmp_path: Path) -> None:
    assert solo.known(tmp_path, "here", {A, B}) == {}
    solo.keep(tmp_path, "here", {A: 0.2})
    assert solo.known(tmp_path, "here", {A, B}) == {A: 0.2}
    assert solo.known(tmp_path, "elsewhere", {A}) == {}


def test_a_later_measurement_does_not_change_the_schedules(tmp_path: Path) -> None:
    solo.keep(tmp_path, "here", {A: 0.2})
    solo.keep(tmp_path, "here", {A: 0.3, B: 0.1})
    assert solo.known(tmp_path, "here", {A, B}) == {A: 0.2, B: 0.1}


def test_a_broken_file_is_measured_anew(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / solo.FILE).write_text("{")
    assert solo.known(tmp_path, "here", {A}) == {}
    solo.keep(tmp_path, "here", {A: 0.2})
    assert solo.known(tmp_path, "here", {A}) == {A: 0.2}


def test_the_solo_time_of_weights_is_that_of_their_content(tmp_path: Path) -> None:
    here, there, others = (
        replace(A, weights_sha256="1", pretrained="/here"),
        replace(A, weights_sha256="1", pretrained="/there"),
        replace(A, weights_sha256="2", pretrained="/here"),
    )
    solo.keep(tmp_path, "here", {here: 0.2})
    assert solo.known(tmp_path, "here", {there}) == {there: 0.2}
    assert solo.known(tmp_path, "here", {others, A}) == {}


def test_random_weights_have_the_keys_that_they_always_had(tmp_path: Path) -> None:
    solo.keep(tmp_path, "here", {A: 0.2})
    assert list(json.loads((tmp_path / solo.FILE).read_text())) == [
        'here {"batch_size": 1, "dtype": "float32", "name": "bert_base", "seed": 0, "size": 128, '
        '"work_us": 0}'
    ]
