"""The whole page of a machine with a GPU."""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from runner.commands.doctor import host, shim, xsched
from runner.commands.doctor.checks import look
from runner.commands.doctor.lines import Line, State, verdict
from runner.commands.doctor.machine import Machine
from runner.platforms.gpu import environment, xserver
from tests.runner.commands.doctor.test_shim import HONEST, SHIM_LINES, says
from tests.runner.platforms.gpu.test_management import FakeNvml

NAMES = [
    *["Python libraries", "PyTorch", "host platform"],
    *["GPU", "driver", "GPU processes"],
    *["persistence mode", "power limit", "clocks", "compute mode", "partitions (MIG)", "ECC"],
    *["throttling", "MPS"],
    *["XSched", "driver library"],
    *["shim: add", "shim: matmul", "shim: attention", "shim: convolution", "without the shim"],
    *["preemption levels", "policies", "xserver", "XSched's channels"],
    *["CPU governor", "load", "output folder", "tracking store", "shared memory"],
    "temporary folder",
]


@pytest.fixture
def calm(
    with_gpu: Machine, nvml: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """Nothing disturbs."""
    nvml.of_gpu("nvmlDeviceGetPowerManagementLimit", 700_000)
    nvml.answer("nvmlDeviceGetApplicationsClock", lambda gpu, kind: 1980)
    nvml.of_gpu("nvmlDeviceGetComputeMode", 0)
    monkeypatch.setattr(psutil, "process_iter", lambda *_: iter([]))
    monkeypatch.setattr(shim, "PROBE", (sys.executable, "-c", HONEST))
    monkeypatch.setattr(xsched, "SHARED_MEMORY", tmp_path / "no-channels")
    monkeypatch.setattr(xserver, "RECORD", tmp_path / "no-record")
    monkeypatch.setattr(host, "CPUS", tmp_path / "no-governor")
    monkeypatch.setattr(host, "available_cores", lambda: [0, 1])
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    (tmp_path / "libcuda.so.1").write_text("")
    monkeypatch.setattr(environment, "DRIVER_FOLDERS", (str(tmp_path),))
    return with_gpu


def states(lines: list[Line]) -> dict[str, State]:
    return {line.name: line.state for line in lines if line.state is not State.ok}


def test_a_machine_in_order_has_every_line_and_none_to_see_to(calm: Machine) -> None:
    lines = list(look(calm))
    assert states(lines) == {}
    assert [line.name for line in lines] == NAMES
    assert verdict(lines).exit_code == 0
    assert json.loads(json.dumps([asdict(line) for line in lines]))


def test_a_gpu_and_an_xsched_that_do_not_work_together_are_an_error(
    calm: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim, "PROBE", (sys.executable, "-c", says(counted=0)))
    lines = list(look(calm))
    assert states(lines) == dict.fromkeys(SHIM_LINES, State.error)
    assert verdict(lines).exit_code == 2


def test_a_gpu_without_xsched_can_be_used(calm: Machine) -> None:
    lines = list(look(replace(calm, home=None)))
    assert states(lines) == {"XSched": State.warning}
    assert {*SHIM_LINES, "without the shim", "xserver"}.isdisjoint(line.name for line in lines)


def test_a_gpu_whose_driver_is_broken_is_one_error(calm: Machine, nvml: FakeNvml) -> None:
    nvml.refuse("nvmlInit")
    assert states(list(look(calm))) == {"GPU": State.error}
