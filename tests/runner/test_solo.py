from pathlib import Path

from models import ModelSpec
from runner import solo

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
