"""The command as a user runs it, on this machine."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from runner.commands.doctor import checks
from runner.commands.doctor.__main__ import main
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu.vendors import VENDORS
from tests.conftest import ROOT, environment

WITHOUT = ("XSCHED_HOME", "LD_LIBRARY_PATH", "MLFLOW_TRACKING_URI")
has_gpu = any(Path(vendor.device_node).exists() for vendor in VENDORS.values())
needs_no_gpu = pytest.mark.skipif(has_gpu, reason="there is a GPU here")


def doctor(
    folder: Path, *arguments: str, python_path: str = str(ROOT)
) -> "subprocess.CompletedProcess[str]":
    variables = {k: v for k, v in environment().items() if k not in WITHOUT}
    return subprocess.run(
        [sys.executable, "-m", "runner.doctor", *arguments],
        cwd=folder,
        env=variables | {"PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        timeout=60,
    )


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in report["lines"]}


@needs_no_gpu
def test_a_machine_with_nothing_is_told_that_it_will_use_host(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    report = json.loads(done.stdout)
    lines = by_name(report)
    assert lines["GPU"]["state"] == "ok"
    assert "platform=host" in lines["GPU"]["found"]
    assert lines["XSched"]["state"] == "ok"
    assert lines["host platform"]["found"].startswith("can run")
    assert "shim" not in lines
    assert report["verdict"] in ("ok", "warning")
    assert done.returncode == {"ok": 0, "warning": 1}[report["verdict"]]
    assert done.stderr == ""


@needs_no_gpu
def test_json_says_what_the_screen_says(tmp_path: Path) -> None:
    report = json.loads(doctor(tmp_path, "--json").stdout)
    screen = doctor(tmp_path).stdout
    assert set(report) == {"verdict", "lines"}
    assert len(report["lines"]) > 10
    for line in report["lines"]:
        assert set(line) == {"name", "state", "found", "remedy", "details"}
        assert (line["remedy"] == "") == (line["state"] == "ok")
        assert any(row[9:].startswith(line["name"]) for row in screen.splitlines())


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    doctor(tmp_path, "--json")
    assert list(tmp_path.iterdir()) == []


@needs_no_gpu
def test_an_xsched_that_is_named_and_missing_is_a_warning(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json", "--home", str(tmp_path / "nowhere"))
    line = by_name(json.loads(done.stdout))["XSched"]
    assert (line["state"], done.returncode) == ("warning", 1)
    assert "nowhere" in line["found"]


def test_an_output_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file")
    done = doctor(tmp_path, "--json")
    report = json.loads(done.stdout)
    assert (report["verdict"], done.returncode) == ("error", 2)
    assert by_name(report)["output folder"]["state"] == "error"
    assert doctor(tmp_path).returncode == 2


def test_a_missing_library_costs_its_own_checks_only(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("raise ImportError('No module named psutil')")
    done = doctor(tmp_path, "--json", python_path=f"{tmp_path}{os.pathsep}{ROOT}")
    report = json.loads(done.stdout)
    lines = by_name(report)
    assert done.returncode == 2
    assert "psutil" in lines["xserver"]["found"]
    assert lines["xserver"]["remedy"] == "install the libraries: make setup"
    assert lines["tracking store"]["state"] == "ok"


def test_neither_torch_nor_mlflow_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['doctor', '--json']\n"
        "from runner.commands.doctor.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'mlflow', 'transformers'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("states", "verdict", "code"),
    [
        ([], "ok", 0),
        (["ok", "ok"], "ok", 0),
        (["warning", "ok"], "warning", 1),
        (["ok", "error", "warning"], "error", 2),
    ],
)
def test_the_worst_line_decides(
    states: list[str],
    verdict: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [Line(f"check {n}", State(state), "found", "do") for n, state in enumerate(states)]
    monkeypatch.setattr("runner.commands.doctor.__main__.look", lambda _: iter(lines))
    monkeypatch.setattr(sys, "argv", ["doctor", "--json"])
    with pytest.raises(SystemExit) if code else nullcontext() as ended:
        main()
    assert (ended.value.code if ended else 0) == code
    assert json.loads(capsys.readouterr().out)["verdict"] == verdict
    monkeypatch.setattr(sys, "argv", ["doctor"])
    with pytest.raises(SystemExit) if code else nullcontext() as ended:
        main()
    assert (ended.value.code if ended else 0) == code
    assert verdict in capsys.readouterr().out.splitlines()[-1]


def test_a_check_that_raises_is_a_line(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Machine) -> list[Line]:
        raise OSError("the disk\nis on fire")

    monkeypatch.setattr("runner.commands.doctor.host.load", broken)
    [line] = checks.guarded("host:load", bare)
    assert (line.name, line.state) == ("load", State.error)
    assert "OSError: the disk is on fire" in line.found
    assert line.remedy


def test_every_check_exists() -> None:
    for check in checks.CHECKS:
        module, _, function = check.partition(":")
        imported = __import__(f"runner.commands.doctor.{module}", fromlist=[function])
        assert callable(getattr(imported, function))
