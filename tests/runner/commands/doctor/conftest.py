"""Machines to look at: one with nothing, and one with a fake GPU and a fake XSched."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.commands.doctor.machine import Machine
from runner.platforms.device import TorchBuild
from runner.platforms.gpu import installed_torch
from runner.platforms.gpu.management.open import opened
from runner.platforms.gpu.vendors import VENDORS
from runner.sweep import turns
from tests.runner.platforms.gpu.test_management import FakeNvml

#: The files of XSched that matter for a CUDA device.
LIBRARIES = ("libpreempt.so", "libhalcuda.so", "libshimcuda.so")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own: no locks and records of other runners."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(turns, "LOCKS", folder)
    return folder


@pytest.fixture
def bare(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """No GPU, no XSched."""
    for name, vendor in VENDORS.items():
        there = replace(vendor, device_node=str(tmp_path / "no-node"))
        monkeypatch.setitem(VENDORS, name, there)
    for variable in ("XSCHED_HOME", "LD_LIBRARY_PATH", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    return Machine(None, "0", None, tmp_path / "outputs")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


@pytest.fixture
def xsched(tmp_path: Path) -> Path:
    """An installation; returns the folder to give as home."""
    home = tmp_path / "xsched"
    (home / "lib").mkdir(parents=True)
    for name in LIBRARIES:
        (home / "lib" / name).write_text(name)
    (home / "lib" / "libcuda.so.1").symlink_to("libshimcuda.so")
    (home / "bin").mkdir()
    (home / "bin" / "xserver").write_text("")
    (home / "bin" / "xserver").chmod(0o755)
    return home


@pytest.fixture
def with_gpu(
    bare: Machine,
    nvml: FakeNvml,
    xsched: Path,
    temporary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    """An H100 with its driver, PyTorch for it and XSched."""
    node = tmp_path / "nvidiactl"
    node.write_text("")
    monkeypatch.setitem(VENDORS, "cuda", replace(VENDORS["cuda"], device_node=str(node)))
    build = TorchBuild("2.13.0+cu130", "13.0")
    monkeypatch.setattr(installed_torch, "build", lambda: build)
    opened.cache_clear()
    yield replace(bare, home=str(xsched))
    opened.cache_clear()
