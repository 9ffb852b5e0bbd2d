"""The command as a user runs it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runner.commands.compare import main
from runner.results.comparison import compare
from runner.results.outcome import Outcome
from runner.results.tables import as_csv, as_latex, as_plain, latex, show, show_comparison
from runner.runs.load import load
from runner.trial.status import Status
from tests import forked
from tests.conftest import ROOT, environment
from tests.runner.run_folders import MadeTask, at_clock, write_repeats, write_run


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "runner.compare", *map(str, arguments)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def forked_command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """`command` without an interpreter of its own."""
    return forked.run(main, *arguments, cwd=ROOT, environment=environment())


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Four repeats at two thresholds; xsched takes half of the time, at threshold 8 no less than
    its null control."""
    rng = np.random.default_rng(7)
    scales = {"native": 20.0, "xsched 4": 10.0, "xsched 8": 15.0, "xsched_null 8": 15.0}
    arms = {
        name: [scale * rng.uniform(0.9, 1.1, 40) * rng.uniform(0.99, 1.01) for _ in range(4)]
        for name, scale in scales.items()
    }
    values: dict[str, dict[str, str | None]] = {
        name: {"arm": name.split()[0], "xsched.threshold": None if name == "native" else name[-1]}
        for name in arms
    }
    return write_repeats(tmp_path / "sweep", arms, values)


def test_the_tables(sweep: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "latex", "json")}
    options = [each for kind, path in files.items() for each in (f"--{kind}", path)]
    done = command(*options, sweep)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "p90_ms/priority_1 (urgent) against native" in done.stdout
    assert "p99_ms" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith(" xsched, ")]
    ineffective = [
        line.split("  ")[0] for line in lines if "ineffective beside xsched_null" in line
    ]
    assert ineffective == [" xsched, threshold=8"]
    assert all(path.stat().st_size for path in files.values())
    assert "p99" not in files["latex"].read_text()


def test_all_figures_are_shown_when_they_are_asked_for(sweep: Path, tmp_path: Path) -> None:
    done = forked_command("--all", "--latex", tmp_path / "all.tex", sweep)
    assert done.returncode == 0, done.stderr
    assert "xsched, threshold=4 against native, secondary figures" in done.stdout
    assert "p99_ms/priority_1 (urgent)" in done.stdout
    assert r"p99\_ms" in (tmp_path / "all.tex").read_text()


def test_csv_has_a_row_a_figure(sweep: Path) -> None:
    rows = list(csv.DictReader(as_csv(compare(load(sweep).runs)).splitlines()))
    first = rows[0]
    assert (first["figure"], first["role"], first["verdict"]) == (
        "p90_ms/priority_1",
        "primary",
        "better",
    )
    assert (first["treatment"], first["xsched.threshold"]) == ("xsched", "4")
    assert float(first["low"]) < float(first["ratio"]) < float(first["high"]) < 1
    assert first["tasks"] == "urgent"
    tests = [(row["treatment"], row["xsched.threshold"], row["metric"]) for row in rows]
    assert len(tests) == len(set(tests)), "a task alone in its priority has no row of its own"
    assert {row["role"] for row in rows} == {"primary", "secondary"}


def test_json_knows_all_of_it(sweep: Path) -> None:
    content = json.loads(json.dumps(as_plain(compare(load(sweep).runs))))
    assert content["schema"] == 3
    assert content["baseline"] == "native"
    assert content["swept"] == ["xsched.threshold"]
    first = content["rows"][0]
    assert set(first["interval"]) == {"low", "high", "level"}
    assert first["baseline_value"]["interval"]["level"] == 0.95


def test_json_has_no_infinite_numbers(tmp_path: Path) -> None:
    """One repeat: no p99 of few requests has an upper end."""
    arms = {"native": [[1.0, 2.0, 3.0]], "xsched": [[1.0, 2.0, 3.0]]}
    out = tmp_path / "out.json"
    done = forked_command(write_repeats(tmp_path / "sweep", arms), "--json", out)
    assert done.returncode == 0, done.stderr
    assert "> max" in done.stdout
    assert "no verdict (repeats < 3)" in done.stdout
    assert json.loads(out.read_text())["arms"][0]["value"]["interval"]["high"] is None


def test_latex_is_escaped(sweep: Path) -> None:
    text = as_latex(compare(load(sweep).runs), everything=True)
    assert r"\textbf{p90\_ms}" in text
    assert r"xsched\_null, threshold=8" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {7}
    assert latex("a_b 5 % > max {x} \\") == r"a\_b 5 \% $>$ max \{x\} \textbackslash{}"


def test_clocks_that_differ_are_said_in_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = {"a": MadeTask([1.0] * 9)}
    clocks = {"native": 1980, "xsched": 1800, "solo": 1980}
    runs = [write_run(tmp_path / a, a, tasks, device=at_clock(c)) for a, c in clocks.items()]
    sweep = load(*runs)
    found = compare(sweep.runs)
    show(Outcome(sweep, found))
    show_comparison(found, everything=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "no verdict (repeats < 3); SM clocks differ" in said
    assert (
        "SM clocks differ from those of native by more than 2 %: xsched at 0.909 times the clock"
        in said
    )
    assert "solo at" not in said
    rows = {row["treatment"]: row for row in csv.DictReader(as_csv(found).splitlines())}
    assert (rows["xsched"]["clocks_differ"], rows["solo"]["clocks_differ"]) == ("True", "False")
    assert float(rows["xsched"]["clock_ratio"]) == pytest.approx(1800 / 1980)
    flags = {row["treatment"]: row["clocks_differ"] for row in as_plain(found)["rows"]}
    assert flags == {"xsched": True, "solo": False}
    table = as_latex(found).splitlines()
    marked = [line for line in table if r"$^{\dagger}$" in line]
    assert all(line.startswith(("xsched", r"\multicolumn{8}")) for line in marked)
    assert r"{\footnotesize $^{\dagger}$ SM clocks differ from those of native" in marked[-1]


def test_names_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {"[red]a": MadeTask([1.0] * 9), "[/b]": MadeTask([1.0] * 9)}
    folders = [write_run(tmp_path / arm, arm, tasks) for arm in ("native", "xsched")]
    show_comparison(compare(load(*folders).runs), everything=True)
    assert "[red]a" in capsys.readouterr().out


def test_runs_that_failed_are_named(tmp_path: Path) -> None:
    task = {"a": MadeTask([1.0] * 9)}
    folders = [
        write_run(tmp_path / "native", "native", task),
        write_run(tmp_path / "xsched", "xsched", task),
        write_run(
            tmp_path / "bad", "xsched", task, repeat=1, status=Status.FAILED, reason="no level"
        ),
    ]
    done = forked_command(*folders)
    assert done.returncode == 0, done.stderr
    assert "not compared: bad (repeat 1): FAILED: no level" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere",),
        ("{sweep}", "--baseline", "nativ"),
        ("{sweep}", "--primary", "p99_ms/nobody"),
        ("{sweep}", "--metric", "p98_ms"),
        ("{sweep}", "--csv", "/nowhere/out.csv"),
        ("mlflow:made", "--uri", "sqlite:////nowhere/mlflow.db"),
        (),
        ("{sweep}", "--wrong"),
    ],
)
def test_bad_input_is_one_message(sweep: Path, arguments: tuple[str, ...]) -> None:
    done = forked_command(*(each.format(sweep=sweep) for each in arguments))
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_slow_is_imported(sweep: Path) -> None:
    code = (
        "import sys; from runner.compare import main; main();"
        "print([m for m in ('torch', 'mlflow', 'scipy.stats', 'matplotlib', 'hydra')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sweep)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_json_goes_where_it_is_told_to(sweep: Path, tmp_path: Path) -> None:
    """Through a link, and into a device: neither is replaced."""
    (tmp_path / "there.json").write_text("old")
    (tmp_path / "link.json").symlink_to("there.json")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("link.json", "pipe"):
        done = forked_command(sweep, "--json", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "there.json").read_text())["baseline"] == "native"
    assert (tmp_path / "pipe").is_fifo()
    assert os.read(reader, 1) == b"{"
    os.close(reader)
