"""When a sweep has been judged; that it is, tests of whole sweeps show."""

from pathlib import Path

import pytest

from runner.config.schema import Config, ExpectConfig
from runner.sweep.conclusion import is_concluded


def config(repeats: int, claims: int = 0) -> Config:
    made = Config()
    made.sweep.repeats = repeats
    made.expect = [ExpectConfig(what="w", at_most=1.0)] * claims
    return made


@pytest.mark.parametrize(("repeats", "runs"), [(2, 4), (3, 1)])
def test_what_is_not_compared_leaves_nothing_to_look_for(
    repeats: int, runs: int, tmp_path: Path
) -> None:
    assert is_concluded(config(repeats), runs, tmp_path)


def test_a_comparison_is_there_with_its_report(tmp_path: Path) -> None:
    assert not is_concluded(config(3), 6, tmp_path)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").touch()
    assert is_concluded(config(3), 6, tmp_path)


def test_claims_are_judged_whatever_is_compared(tmp_path: Path) -> None:
    assert not is_concluded(config(1, claims=1), 1, tmp_path)
    (tmp_path / "expectations.json").touch()
    assert is_concluded(config(1, claims=1), 1, tmp_path)
