"""``python -m runner.judge``: the conclusions of a sweep anew, from its runs."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from runner.commands import judge
from runner.runs import files
from tests.runner.results.report import made_up

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, 3)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["judge", *map(str, arguments)])
    try:
        judge.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_everything_that_is_derived_is_made(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = {path: path.read_bytes() for path in sweep.glob("*/summary.json")}
    for _ in range(2):
        assert run(monkeypatch, sweep) == 0
        assert (sweep / files.REPORT / files.REPORT_PAGE).exists()
        assert json.loads((sweep / "comparison.json").read_text())
        for path in records:
            assert (path.parent / files.LATENCY_CDF).exists()
        assert {path: path.read_bytes() for path in records} == records
        assert f"judged anew: {sweep}" in capsys.readouterr().out.splitlines()
        shutil.rmtree(sweep / files.REPORT)  # is made again, though nothing else has changed


def test_a_single_run_has_nothing_to_conclude_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, made_up.sweep(tmp_path, {"arm": ["native"]}, 1)) == 0
    said = capsys.readouterr().out
    assert said == "nothing to conclude: that takes several runs, or expect:\n"


def test_what_cannot_be_made_is_said_with_exit_code_1(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "comparison.csv").mkdir()
    (sweep / "native-r0" / files.TRACE).mkdir()
    assert run(monkeypatch, sweep) == 1
    said = capsys.readouterr().out
    assert "not concluded: Is a directory: " in said
    assert "native-r0: trace.json: Is a directory: " in said


@pytest.mark.parametrize("name", ["", "nowhere", "native-r0", "summary.json"])
def test_what_is_no_sweep_is_bad_input(
    name: str, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(sweep.rglob("*"))
    place = sweep / name if name else sweep.parent
    assert run(monkeypatch, place) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {place} is no sweep")
    assert sorted(sweep.rglob("*")) == before


def test_damaged_runs_do_not_keep_the_others_from_being_judged(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sweep / "native-r0" / files.CONFIG).write_text("[" * 10_000)
    (sweep / "xsched-r1" / files.REQUESTS).write_bytes(b"not parquet")
    assert run(monkeypatch, sweep) == 0
    page = (sweep / files.REPORT / files.REPORT_PAGE).read_text()
    assert "is not what was recorded" in page
