"""What is packed for somebody who cannot reach the machine."""

import getpass
import importlib.metadata
import json
import sys
import zipfile
from pathlib import Path

import pytest

from runner.commands.doctor import bundle
from runner.commands.doctor.__main__ import main
from runner.commands.doctor.lines import Line, error, ok
from tests.runner import fake_rocm


def packed(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as parts:
        return {name: parts.read(name).decode() for name in parts.namelist()}


def write(tmp_path: Path, *lines: Line) -> dict[str, str]:
    bundle.write(tmp_path / "bundle.zip", lines)
    return packed(tmp_path / "bundle.zip")


def test_it_has_the_lines_with_logs_and_maps_the_versions_and_the_symbols(tmp_path: Path) -> None:
    shim = fake_rocm.shim(tmp_path / "libshimhip.so", ["hipLaunchKernel", "other"])
    caller = "int hipExtModuleLaunchKernel(); int f() { return hipExtModuleLaunchKernel(); }"
    caller_library = fake_rocm.library(tmp_path / "libhipblaslt.so.0", caller)
    gone = tmp_path / "librocblas.so.4"
    maps = [str(shim), str(caller_library), str(gone), "/lib/libc.so.6"]
    line = error("shim: matmul", "was killed", "do", libraries=maps, log="the last words")
    parts = write(tmp_path, ok("GPU", "an MI308X"), line)
    assert set(parts) == {
        "report.json",
        "packages.txt",
        "variables.txt",
        "system.txt",
        "symbols.txt",
    }
    report = json.loads(parts["report.json"])
    assert report["verdict"] == "error"
    assert [each["name"] for each in report["lines"]] == ["GPU", "shim: matmul"]
    assert report["lines"][1]["details"]["log"] == "the last words"
    assert f"torch=={importlib.metadata.version('torch')}" in parts["packages.txt"]
    assert sys.version.split()[0] in parts["system.txt"]
    assert "exports hipLaunchKernel" in parts["symbols.txt"]
    assert "calls   hipExtModuleLaunchKernel" in parts["symbols.txt"]
    assert "other" not in parts["symbols.txt"]
    assert "No such file" in parts["symbols.txt"]


def test_it_tells_nothing_of_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    (tmp_path / "ada" / "dissertation").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "ada" / "dissertation")
    monkeypatch.setenv("XSCHED_HOME", f"{tmp_path}/ada/xsched")
    monkeypatch.setenv("ROCM_PATH", "/data/ada/rocm")
    monkeypatch.setenv("HIP_TOKEN", "hidden-1")
    monkeypatch.setenv("WANDB_API_KEY", "hidden-2")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hidden-3")
    parts = write(
        tmp_path,
        ok("XSched", f"{tmp_path}/ada/xsched/lib", folder="/home/bob/lib", user="ada's"),
        ok("tracking store", "https://mlflow.firm.example"),
        ok("output folder", "/scratch/project-x/outputs"),
        error("GPU processes", "payroll (17, 3 MiB)", "end them"),
    )
    whole = "\n".join(text for name, text in parts.items() if name != "packages.txt")
    assert "XSCHED_HOME=~/xsched" in parts["variables.txt"]
    assert "ROCM_PATH=/data/<user>/rocm" in parts["variables.txt"]
    told = ("ada", "bob", "dissertation", "hidden", "firm", "project-x", "payroll", str(tmp_path))
    assert [each for each in told if each in whole] == []


def test_the_command_packs_it_beside_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [ok("GPU", "an MI308X")]
    monkeypatch.setattr("runner.commands.doctor.__main__.look", lambda _: iter(lines))
    path = tmp_path / "bundle.zip"
    monkeypatch.setattr(sys, "argv", ["doctor", "--json", "--bundle", str(path)])
    main()
    assert json.loads(capsys.readouterr().out)["verdict"] == "ok"
    assert "report.json" in packed(path)
    nowhere = tmp_path / "nowhere" / "bundle.zip"
    monkeypatch.setattr(sys, "argv", ["doctor", "--bundle", str(nowhere)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"error: --bundle {nowhere}: cannot be written" in capsys.readouterr().err
