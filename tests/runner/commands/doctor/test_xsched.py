import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from runner.commands.doctor import xsched as check
from runner.commands.doctor.lines import State
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import environment


def test_checksums_are_short_on_the_screen_and_whole_in_json(
    with_gpu: Machine, xsched: Path
) -> None:
    [line] = check.libraries(with_gpu)
    whole = hashlib.sha256(b"libpreempt.so").hexdigest()
    assert line.state is State.ok
    assert f"libpreempt.so {whole[:8]}," in line.found
    assert whole not in line.found
    assert line.details["sha256"]["libpreempt.so"] == whole
    assert line.details["folder"] == str(xsched / "lib")


def test_an_installation_for_another_platform_is_an_error(with_gpu: Machine, xsched: Path) -> None:
    (xsched / "lib" / "libhalcuda.so").unlink()
    [line] = check.libraries(with_gpu)
    assert line.state is State.error
    assert "without libhalcuda.so" in line.found
    assert "make cuda" in line.remedy


def test_a_gpu_without_xsched_is_a_warning(with_gpu: Machine) -> None:
    [line] = check.libraries(replace(with_gpu, home=None))
    assert (line.state, line.found) == (State.warning, "not found")
    assert "XSCHED_HOME" in line.remedy


def test_an_xsched_that_is_named_and_missing_contradicts_itself(
    with_gpu: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = check.libraries(replace(with_gpu, home=str(tmp_path / "nowhere")))
    assert (line.state, line.found) == (State.error, f"not in {tmp_path / 'nowhere'}")
    assert str(tmp_path / "nowhere" / "lib") in line.details["looked_in"]
    monkeypatch.setenv("XSCHED_HOME", str(tmp_path / "elsewhere"))
    [line] = check.libraries(replace(with_gpu, home=None))
    assert (line.state, line.found) == (State.error, f"not in {tmp_path / 'elsewhere'}")


def test_host_needs_no_xsched_and_says_which_it_has(bare: Machine, xsched: Path) -> None:
    assert check.libraries(bare)[0].state is State.ok
    [line] = check.libraries(replace(bare, home=str(xsched)))
    assert (line.state, "libshimcuda.so" in line.found) == (State.ok, True)
    (xsched / "lib" / "libhalcuda.so").unlink()
    assert check.libraries(replace(bare, home=str(xsched)))[0].state is State.ok


def test_the_driver_behind_the_shim(
    with_gpu: Machine, tmp_path: Path, xsched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "DRIVER_FOLDERS", ())
    monkeypatch.setenv("LD_LIBRARY_PATH", str(xsched / "lib"))
    [line] = check.driver_library(with_gpu)
    assert line.state is State.warning  # what is there is the shim
    (tmp_path / "libcuda.so.580").write_text("")
    (tmp_path / "libcuda.so.1").symlink_to("libcuda.so.580")
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join([str(xsched / "lib"), str(tmp_path)]))
    [line] = check.driver_library(with_gpu)
    assert (line.state, line.found) == (State.ok, f"{tmp_path / 'libcuda.so.1'} (libcuda.so.580)")


def test_host_has_no_driver_line(bare: Machine) -> None:
    assert check.driver_library(bare) == []
