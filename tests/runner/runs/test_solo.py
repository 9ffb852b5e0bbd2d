import json
from dataclasses import replace
from pathlib import Path

from models import ModelSpec
from runner.runs import solo

A, B = ModelSpec("bert_base", size=128), ModelSpec("bert_base", size=64)


def test_what_was_measured_is_kept_for_this_machine(tmp_path: Path) -> None:
    path = tmp_path / solo.LATEST
    assert solo.known(path, "here", {A, B}) == {}
    solo.keep(path, "here", {A: 0.2})
    assert solo.known(path, "here", {A, B}) == {A: 0.2}
    assert solo.known(path, "elsewhere", {A}) == {}
    solo.keep(path, "here", {A: 0.3, B: 0.1})
    assert solo.known(path, "here", {A, B}) == {A: 0.3, B: 0.1}, "the last ones"


def test_a_repeat_has_its_own(tmp_path: Path) -> None:
    first, second = (solo.of_repeat(tmp_path, number) for number in (0, 1))
    solo.keep(first, "here", {A: 0.2})
    assert solo.known(second, "here", {A}) == {}
    solo.keep(second, "here", {A: 0.3})
    assert solo.known(first, "here", {A}) == {A: 0.2}


def test_a_broken_file_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "solo.json"
    path.write_text("{")
    assert solo.known(path, "here", {A}) == {}
    solo.keep(path, "here", {A: 0.2})
    assert solo.known(path, "here", {A}) == {A: 0.2}


def test_the_solo_time_of_weights_is_that_of_their_content(tmp_path: Path) -> None:
    here, there, others = (
        replace(A, weights_sha256="1", pretrained="/here"),
        replace(A, weights_sha256="1", pretrained="/there"),
        replace(A, weights_sha256="2", pretrained="/here"),
    )
    path = tmp_path / "solo.json"
    solo.keep(path, "here", {here: 0.2})
    assert solo.known(path, "here", {there}) == {there: 0.2}
    assert solo.known(path, "here", {others, A}) == {}


def test_random_weights_have_the_keys_that_they_always_had(tmp_path: Path) -> None:
    path = tmp_path / "solo.json"
    solo.keep(path, "here", {A: 0.2})
    assert list(json.loads(path.read_text())) == [
        'here {"batch_size": 1, "dtype": "float32", "name": "bert_base", "seed": 0, "size": 128, '
        '"work_us": 0}'
    ]
