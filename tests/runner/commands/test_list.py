"""What there is to choose from, and the sweeps that there are."""

import sys
from pathlib import Path

import pytest

from runner.commands import list as listing
from runner.commands.list import about
from tests.conftest import ROOT
from tests.runner.results.report import made_up
from tests.runner.run_folders import write_repeats

CHOICES = sorted((ROOT / "conf").glob("*/*.yaml"))


@pytest.fixture
def listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "Listed":
    monkeypatch.chdir(tmp_path)
    return Listed(monkeypatch, capsys)


class Listed:
    """What the command prints for these arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, columns: int = 100) -> str:
        self._monkeypatch.setattr(sys, "argv", ["list", *arguments])
        self._monkeypatch.setattr("runner.results.console.console._width", columns)
        listing.main()
        return self._capsys.readouterr().out


@pytest.mark.parametrize("path", CHOICES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_choice_says_what_it_is(path: Path) -> None:
    assert len(about(path)) > 5
    assert "python -m" not in about(path)


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_no_width_cuts_anything(columns: int, listed: Listed) -> None:
    said = listed(columns=columns)
    assert max(map(len, said.splitlines())) <= columns
    words = " ".join(said.split())
    for path in CHOICES:
        assert path.stem in words
    assert "One urgent task" in words
    assert "…" not in words


def test_choices_of_ones_own_are_among_them(listed: Listed, tmp_path: Path) -> None:
    models = tmp_path / "mine" / "model"
    models.mkdir(parents=True)
    (models / "big.yaml").write_text("# Larger\n# than others. Really.\nname: x\n")
    (models / "bad.yaml").write_bytes(b"# \xff\n")
    said = listed("model", "--config-dir", "mine", columns=140)
    assert "big" in said
    assert "Larger than others. (mine/model/big.yaml)" in said
    assert "(mine/model/bad.yaml)" in said
    assert "urgent_vs_background" not in said


def test_a_sweep_says_when_it_ran_and_what_it_comes_to(listed: Listed, tmp_path: Path) -> None:
    made_up.sweep(tmp_path / "outputs", {"arm": ["native", "xsched"]}, repeats=3)
    made_up.sweep(tmp_path / "outputs", {"arm": ["xsched"]}, broken=["xsched-r0"], name="broken-1")
    (tmp_path / "outputs" / "no-sweep").mkdir()
    (tmp_path / "outputs" / "torn").mkdir()
    (tmp_path / "outputs" / "torn" / "sweep.json").write_text("{")
    said = listed("sweeps", columns=140)
    lines = [line.strip() for line in said.splitlines()]
    assert "2026-03-01 10:00, 6 finished" in said
    assert "3 proof proven" in said
    assert "xsched better in" in said
    assert "2026-03-01 10:00, 1 failed" in said
    assert "torn/sweep.json cannot be read" in said
    assert "no-sweep" not in said
    assert lines[0] == "sweeps in outputs"


def test_where_there_is_no_sweep_it_says_so(listed: Listed, tmp_path: Path) -> None:
    assert listed("sweeps").splitlines() == ["sweeps in outputs", "  none"]
    write_repeats(tmp_path / "elsewhere" / "made", {"native": [[1.0] * 9]})
    assert "time not known, 1 finished" in listed("sweeps", "--output-root", "elsewhere")
