import os
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from runner.commands.doctor import gpu, settings
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from tests.runner.platforms.gpu.fake_mps import FakeMps, mps
from tests.runner.platforms.gpu.test_management import FakeNvml

__all__ = ["mps"]


def the_settings(machine: Machine) -> dict[str, Line]:
    return {line.name: line for line in settings.settings(machine)}


def no_processes(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Only processes of these names run."""
    there = [SimpleNamespace(info={"name": name}) for name in names]
    monkeypatch.setattr(psutil, "process_iter", lambda *_: iter(there))


def test_it_says_which_gpu_it_is(with_gpu: Machine) -> None:
    [line] = gpu.identity(with_gpu)
    assert line.state is State.ok
    assert line.found == (
        "NVIDIA H100 80GB HBM3, sm_90, GPU-1234, number 0 of 2; platform=cuda will be used"
    )
    assert (line.details["compute_capability"], line.details["count"]) == ((9, 0), 2)
    assert gpu.driver(with_gpu)[0].found == "580.159.04"


def test_a_device_node_without_a_driver_is_an_error_said_once(
    with_gpu: Machine, nvml: FakeNvml
) -> None:
    nvml.refuse("nvmlInit", pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    [line] = gpu.identity(with_gpu)
    assert line.state is State.error
    assert "Driver Not Loaded" in line.found
    assert "platform=host" in line.remedy
    for check in (gpu.driver, gpu.other_processes, settings.settings, gpu.levels):
        assert check(with_gpu) == []


def test_a_number_beyond_the_last_gpu_is_an_error(with_gpu: Machine) -> None:
    [line] = gpu.identity(Machine(None, "2", None, with_gpu.output_root))
    assert (line.state, "there is no NVIDIA GPU 2" in line.found) == (State.error, True)


def test_processes_of_others_are_named(with_gpu: Machine, nvml: FakeNvml) -> None:
    assert gpu.other_processes(with_gpu)[0].state is State.ok
    beyond = 2**22 + 1  # Linux gives no such number
    used = [
        SimpleNamespace(pid=os.getpid(), usedGpuMemory=2**30),
        SimpleNamespace(pid=beyond, usedGpuMemory=3 * 2**30),
    ]
    nvml.of_gpu("nvmlDeviceGetComputeRunningProcesses", used)
    [line] = gpu.other_processes(with_gpu)
    assert line.state is State.warning
    assert line.found == f"unknown ({beyond}, 3072 MiB)"
    assert [each["pid"] for each in line.details["processes"]] == [beyond]


def test_settings_that_disturb_are_warnings_with_the_command(
    with_gpu: Machine, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_processes(monkeypatch)
    nvml.of_gpu("nvmlDeviceGetPersistenceMode", 0)
    nvml.of_gpu("nvmlDeviceGetMigMode", [1, 1])
    nvml.of_gpu("nvmlDeviceGetCurrentClocksEventReasons", 0x20)
    lines = the_settings(with_gpu)
    remedies = {name: line.remedy for name, line in lines.items() if line.state is State.warning}
    assert remedies == {
        "persistence mode": "sudo nvidia-smi -i 0 -pm 1",
        "power limit": "sudo nvidia-smi -i 0 -pl 700",
        "clocks": "sudo nvidia-smi -i 0 -rac (no change: it is this GPU's default, go on)",
        "compute mode": "sudo nvidia-smi -i 0 -c DEFAULT, or start the MPS daemon",
        "partitions (MIG)": "sudo nvidia-smi -i 0 -mig 0",
        "throttling": "see to cooling and power, and wait until the GPU has cooled down",
    }
    assert lines["throttling"].found == "now: sw_thermal"
    assert (lines["ECC"].state, lines["ECC"].found) == (State.ok, "on")


def test_settings_that_do_not_disturb_are_ok(
    with_gpu: Machine, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_processes(monkeypatch)
    nvml.of_gpu("nvmlDeviceGetPowerManagementLimit", 700_000)
    nvml.answer("nvmlDeviceGetApplicationsClock", lambda gpu, kind: 1980)
    nvml.of_gpu("nvmlDeviceGetComputeMode", pynvml.NVML_COMPUTEMODE_DEFAULT)
    lines = the_settings(with_gpu)
    assert {line.state for line in lines.values()} == {State.ok}
    assert len(lines) == 7


def test_a_gpu_that_nobody_may_use_is_an_error(with_gpu: Machine, nvml: FakeNvml) -> None:
    nvml.of_gpu("nvmlDeviceGetComputeMode", pynvml.NVML_COMPUTEMODE_PROHIBITED)
    assert the_settings(with_gpu)["compute mode"].state is State.error


def test_what_the_driver_does_not_tell_is_left_out(with_gpu: Machine, nvml: FakeNvml) -> None:
    for name in [name for name in vars(nvml) if name.startswith("nvmlDeviceGet")]:
        if name not in ("nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"):
            nvml.refuse(name)
    assert settings.settings(with_gpu) == []


def test_exclusive_mode_is_fine_where_mps_can_be_had(
    with_gpu: Machine, request: pytest.FixtureRequest
) -> None:
    assert gpu.mps(with_gpu)[0].found.endswith("processes take turns on the GPU")
    assert the_settings(with_gpu)["compute mode"].state is State.warning
    fake: FakeMps = request.getfixturevalue("mps")
    assert gpu.mps(with_gpu)[0].found.startswith("a daemon of its own")
    assert the_settings(with_gpu)["compute mode"].state is State.ok
    fake.runs()
    assert gpu.mps(with_gpu)[0].found.startswith("a daemon runs")


def test_levels_follow_the_device_and_the_placement(with_gpu: Machine, nvml: FakeNvml) -> None:
    [line] = gpu.levels(with_gpu)
    tsg = "in placement processes with xsched.cuda_lv3=tsg, beside other tasks, also interrupt"
    assert line.found == f"block; {tsg}"
    nvml.of_gpu("nvmlDeviceGetCudaComputeCapability", (8, 6))
    assert gpu.levels(with_gpu)[0].found == "block, deactivate, interrupt"


def test_levels_and_policies_without_a_gpu(bare: Machine) -> None:
    assert gpu.levels(bare)[0].details["threads"] == ["block", "deactivate", "interrupt"]
    assert gpu.policies(bare)[0].found.startswith("hpf, up")
