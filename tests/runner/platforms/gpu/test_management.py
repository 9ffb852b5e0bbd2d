import builtins
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pynvml
import pytest

from runner.platforms.device import GpuSettings
from runner.platforms.gpu.management import amd
from runner.platforms.gpu.management.base import (
    GpuProcess,
    NoGpu,
    NoManagement,
    foreign,
    own_pids,
)
from runner.platforms.gpu.management.open import count, open_management

GIB = 2**30
GPU = object()


class FakeNvml(ModuleType):
    """pynvml with its own constants and errors, and functions that answer like an H100's."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        for name, value in vars(pynvml).items():
            if isinstance(value, int) or (isinstance(value, type) and name.startswith("NVMLError")):
                setattr(self, name, value)
        self.starts = 0
        self.there = 2
        self.answer("nvmlInit", self.start)
        self.answer("nvmlShutdown", self.stop)
        self.answer("nvmlDeviceGetCount", lambda: self.there)
        self.answer("nvmlDeviceGetHandleByIndex", lambda index: GPU if index < self.there else None)
        self.answer("nvmlSystemGetDriverVersion", lambda: "580.159.04")
        self.of_gpu("nvmlDeviceGetName", "NVIDIA H100 80GB HBM3")
        self.of_gpu("nvmlDeviceGetUUID", "GPU-1234")
        self.of_gpu("nvmlDeviceGetPciInfo", SimpleNamespace(domain=0, bus=0x3B, device=0))
        self.of_gpu("nvmlDeviceGetCudaComputeCapability", (9, 0))
        memory = SimpleNamespace(total=80 * GIB, used=3 * GIB + 1)
        self.of_gpu("nvmlDeviceGetMemoryInfo", memory)
        clocks = {pynvml.NVML_CLOCK_SM: 1755, pynvml.NVML_CLOCK_MEM: 2619}
        self.answer("nvmlDeviceGetClockInfo", lambda gpu, kind: clocks[kind])
        self.answer(
            "nvmlDeviceGetMaxClockInfo", lambda gpu, kind: {pynvml.NVML_CLOCK_SM: 1980}[kind]
        )
        self.answer("nvmlDeviceGetApplicationsClock", lambda gpu, kind: {0: 1830}[kind])
        self.answer("nvmlDeviceGetTemperature", lambda gpu, sensor: {0: 61}[sensor])
        self.of_gpu("nvmlDeviceGetPowerUsage", 412_345)
        self.of_gpu("nvmlDeviceGetPowerManagementLimit", 650_000)
        self.of_gpu("nvmlDeviceGetPowerManagementDefaultLimit", 700_000)
        self.of_gpu("nvmlDeviceGetUtilizationRates", SimpleNamespace(gpu=97, memory=12))
        self.of_gpu("nvmlDeviceGetCurrentClocksEventReasons", 0)
        self.of_gpu("nvmlDeviceGetPersistenceMode", 1)
        self.of_gpu("nvmlDeviceGetComputeMode", pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS)
        self.of_gpu("nvmlDeviceGetMigMode", [0, 1])
        self.of_gpu("nvmlDeviceGetEccMode", [1, 0])
        self.of_gpu("nvmlDeviceGetComputeRunningProcesses", [])
        self.of_gpu("nvmlDeviceGetGraphicsRunningProcesses", [])
        self.of_gpu("nvmlDeviceGetMPSComputeRunningProcesses", [])

    def start(self) -> None:
        self.starts += 1

    def stop(self) -> None:
        self.starts -= 1

    def of_gpu(self, name: str, answer: Any) -> None:
        self.answer(name, lambda gpu: answer)

    def answer(self, name: str, function: Callable[..., Any]) -> None:
        assert callable(getattr(pynvml, name)), "a fake of what the library does not have"
        setattr(self, name, function)

    def refuse(self, name: str, code: int = pynvml.NVML_ERROR_NOT_SUPPORTED) -> None:
        def refused(*_: Any) -> None:
            raise pynvml.NVMLError(code)

        self.answer(name, refused)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


@pytest.fixture
def import_of_pynvml_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


def test_it_says_who_the_gpu_is(nvml: FakeNvml) -> None:
    info = open_management("nvidia", "1").info()
    assert (info.vendor, info.index, info.name) == ("nvidia", 1, "NVIDIA H100 80GB HBM3")
    assert (info.uuid, info.pci, info.driver) == ("GPU-1234", "0000:3b:00.0", "580.159.04")
    assert (info.compute_capability, info.architecture) == ((9, 0), "sm_90")
    assert info.memory_mib == 80 * 1024


def test_a_sample_has_the_units_that_it_says(nvml: FakeNvml) -> None:
    before = time.monotonic_ns()
    sample = open_management("nvidia", "0").sample()
    assert before <= sample.at_ns <= time.monotonic_ns()
    assert (sample.sm_clock_mhz, sample.memory_clock_mhz) == (1755, 2619)
    assert (sample.power_w, sample.temperature_c) == (412.345, 61)
    assert (sample.utilization_percent, sample.memory_used_mib) == (97, 3 * 1024)
    assert sample.throttle == ()


def test_idle_values_are_zero_and_not_unknown(nvml: FakeNvml) -> None:
    nvml.of_gpu("nvmlDeviceGetUtilizationRates", SimpleNamespace(gpu=0, memory=0))
    nvml.of_gpu("nvmlDeviceGetMemoryInfo", SimpleNamespace(total=GIB, used=0))
    nvml.of_gpu("nvmlDeviceGetPowerUsage", 0)
    sample = open_management("nvidia", "0").sample()
    assert (sample.utilization_percent, sample.memory_used_mib, sample.power_w) == (0, 0, 0.0)


# Bits as nvml.h has them, not as the code looks them up.
@pytest.mark.parametrize(
    ("bits", "throttle"),
    [
        (0x1, ()),  # idle
        (0x2, ()),  # somebody set the clocks
        (0x100, ()),  # the display's clock
        (0x4, ("sw_power_cap",)),
        (0x8 | 0x40, ("hw_slowdown", "hw_thermal")),
        (0x8 | 0x80 | 0x2, ("hw_slowdown", "hw_power_brake")),
        (0x20, ("sw_thermal",)),
    ],
)
def test_only_what_slows_the_gpu_is_throttling(
    nvml: FakeNvml, bits: int, throttle: tuple[str, ...]
) -> None:
    nvml.of_gpu("nvmlDeviceGetCurrentClocksEventReasons", bits)
    assert open_management("nvidia", "0").sample().throttle == throttle


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetUtilizationRates", "utilization_percent"),
        ("nvmlDeviceGetMemoryInfo", "memory_used_mib"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle"),
    ],
)
def test_one_value_that_is_not_supported_costs_no_other(
    nvml: FakeNvml, function: str, field: str
) -> None:
    management = open_management("nvidia", "0")
    whole = vars(management.sample())
    nvml.refuse(function)
    without = vars(management.sample())
    assert {name for name in whole if without[name] is None} == {field}


def test_a_gpu_that_is_lost_still_makes_a_sample(nvml: FakeNvml) -> None:
    management = open_management("nvidia", "0")
    for name in [name for name in vars(nvml) if name.startswith("nvmlDeviceGet")]:
        nvml.refuse(name, pynvml.NVML_ERROR_GPU_IS_LOST)
    known = {name for name, value in vars(management.sample()).items() if value is not None}
    assert known == {"at_ns"}
    assert management.info().name == ""
    assert management.info().compute_capability is None
    assert management.processes() == []
    assert set(vars(management.settings()).values()) == {None}


def test_settings_are_the_current_ones_in_watts(nvml: FakeNvml) -> None:
    assert open_management("nvidia", "0").settings() == GpuSettings(
        persistence_mode=True,
        compute_mode="exclusive",
        mig_mode=False,
        ecc=True,
        power_limit_w=650.0,
        default_power_limit_w=700.0,
        max_sm_clock_mhz=1980,
        applications_sm_clock_mhz=1830,
        clocks_locked=None,
    )


def test_processes_of_all_kinds_once_each_with_names(nvml: FakeNvml) -> None:
    us = SimpleNamespace(pid=os.getpid(), usedGpuMemory=520 * 2**20)
    other = SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None)  # above Linux's largest pid
    nvml.of_gpu("nvmlDeviceGetComputeRunningProcesses", [us])
    nvml.of_gpu("nvmlDeviceGetGraphicsRunningProcesses", [us])
    nvml.of_gpu("nvmlDeviceGetMPSComputeRunningProcesses", [other])
    found = open_management("nvidia", "0").processes()
    assert found == [
        GpuProcess(os.getpid(), psutil.Process().name(), 520),
        GpuProcess(2**22 + 1, "", None),
    ]
    assert foreign(found, own_pids()) == [found[1]]


def test_an_index_that_is_not_there_is_told_with_the_count(nvml: FakeNvml) -> None:
    for index in ("2", "17"):
        with pytest.raises(NoManagement, match=f"no NVIDIA GPU {index}: 2 here"):
            open_management("nvidia", index)
    assert nvml.starts == 0


def test_every_start_of_the_library_has_its_shutdown(nvml: FakeNvml) -> None:
    assert count("nvidia") == 2
    assert nvml.starts == 0
    management = open_management("nvidia", "0")
    assert nvml.starts == 1
    assert count("nvidia") == 2
    assert nvml.starts == 1
    management.close()
    assert nvml.starts == 0


def test_a_gpu_that_we_may_not_touch(nvml: FakeNvml) -> None:
    nvml.refuse("nvmlDeviceGetHandleByIndex", pynvml.NVML_ERROR_NO_PERMISSION)
    with pytest.raises(NoManagement, match="GPU 0 does not answer: Insufficient Permissions"):
        open_management("nvidia", "0")
    assert nvml.starts == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"),
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "NVML Shared Library Not Found"),
    ],
)
def test_no_driver(nvml: FakeNvml, code: int, reason: str) -> None:
    nvml.refuse("nvmlInit", code)
    for ask in (lambda: count("nvidia"), lambda: open_management("nvidia", "0")):
        with pytest.raises(NoManagement, match=reason):
            ask()


@pytest.mark.usefixtures("import_of_pynvml_fails")
def test_no_library() -> None:
    with pytest.raises(NoManagement, match="pip install nvidia-ml-py"):
        count("nvidia")


def test_nothing_here_imports_torch_or_the_libraries() -> None:
    code = (
        "import sys, runner.platforms.gpu.telemetry, runner.platforms.gpu.management.open\n"
        "print({'torch', 'pynvml', 'amdsmi', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_descendants_are_ours_and_parents_are_not() -> None:
    script = (
        "import subprocess as s; p = s.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    try:
        assert {os.getpid(), child.pid, grandchild} <= own_pids()
        assert os.getppid() not in own_pids()
    finally:
        psutil.Process(grandchild).kill()
        child.wait()
        child.stdout.close()
    assert grandchild not in own_pids()


class FakeSmi(ModuleType):
    """amdsmi as its 7.0 sources have it, on an MI300X."""

    class AmdSmiException(Exception): ...

    AmdSmiMemoryType = SimpleNamespace(VRAM=0)
    AmdSmiClkType = SimpleNamespace(GFX=0, MEM=4)
    AmdSmiTemperatureType = SimpleNamespace(EDGE=0, HOTSPOT=1)
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT=0)

    def __init__(self) -> None:
        super().__init__("amdsmi")
        chip = {"market_name": "AMD Instinct MI300X", "target_graphics_version": "gfx942"}
        clocks = {
            0: {"clk": 2100, "max_clk": 2100, "clk_locked": False},
            4: {"clk": 1300, "max_clk": 1300, "clk_locked": "N/A"},
        }
        #: MI300 has no sensor at the edge.
        self.temperatures = {1: 55}
        self.reasons: dict[str, Any] = dict.fromkeys(amd.REASONS.values(), False)
        self.answers: dict[str, Callable[..., Any]] = {
            "amdsmi_init": lambda: None,
            "amdsmi_get_processor_handles": lambda: [GPU],
            "amdsmi_get_gpu_asic_info": lambda gpu: chip,
            "amdsmi_get_gpu_device_uuid": lambda gpu: "52ff74a1-0000-1000-80bd",
            "amdsmi_get_gpu_device_bdf": lambda gpu: "0000:0c:00.0",
            "amdsmi_get_gpu_driver_info": lambda gpu: {"driver_version": "6.12.12"},
            "amdsmi_get_gpu_memory_total": lambda gpu, kind: 192 * GIB,
            "amdsmi_get_gpu_memory_usage": lambda gpu, kind: 5 * GIB,
            "amdsmi_get_power_info": lambda gpu: {
                "current_socket_power": 512,
                "average_socket_power": "N/A",
            },
            "amdsmi_get_gpu_activity": lambda gpu: {"gfx_activity": 88},
            "amdsmi_get_clock_info": lambda gpu, kind: clocks[kind],
            "amdsmi_get_temp_metric": self.temperature,
            "amdsmi_get_violation_status": lambda gpu: self.reasons,
            "amdsmi_get_gpu_metrics_info": lambda gpu: {"throttle_status": "N/A"},
            "amdsmi_get_gpu_process_list": lambda gpu: [
                {"pid": 1, "memory_usage": {"vram_mem": 3 * 2**20}}
            ],
            "amdsmi_get_gpu_compute_partition": lambda gpu: "SPX",
            "amdsmi_get_gpu_ecc_enabled": lambda gpu: 0x7FFF,
            "amdsmi_get_power_cap_info": lambda gpu: {
                "power_cap": 700_000_000,
                "default_power_cap": 750_000_000,
            },
        }

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            raise AttributeError(name)
        return self.answers[name]

    def temperature(self, gpu: object, kind: int, metric: int) -> int:
        if kind not in self.temperatures:
            raise self.AmdSmiException("2 | not supported")
        return self.temperatures[kind]

    def refuse(self, name: str) -> None:
        def refused(*_: Any) -> None:
            raise self.AmdSmiException("Error code:\n\t34 | driver not loaded")

        self.answers[name] = refused


@pytest.fixture
def smi(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSmi]:
    fake = FakeSmi()
    monkeypatch.setitem(sys.modules, "amdsmi", fake)
    amd.library.cache_clear()
    yield fake
    amd.library.cache_clear()


def test_an_amd_gpu(smi: FakeSmi) -> None:
    assert count("amd") == 1
    management = open_management("amd", "0")
    info, sample = management.info(), management.sample()
    assert (info.name, info.architecture) == ("AMD Instinct MI300X", "gfx942")
    assert (info.pci, info.driver, info.memory_mib) == ("0000:0c:00.0", "6.12.12", 192 * 1024)
    assert info.compute_capability is None
    assert (sample.sm_clock_mhz, sample.memory_clock_mhz) == (2100, 1300)
    assert (sample.power_w, sample.temperature_c) == (512.0, 55)
    assert (sample.utilization_percent, sample.memory_used_mib) == (88, 5 * 1024)
    assert sample.throttle == ()
    assert [(each.pid, each.memory_mib) for each in management.processes()] == [(1, 3)]
    settings = management.settings()
    assert (settings.power_limit_w, settings.default_power_limit_w) == (700.0, 750.0)
    assert (settings.mig_mode, settings.ecc, settings.clocks_locked) == (False, True, False)


def test_an_older_amd_gpu_tells_other_things(smi: FakeSmi) -> None:
    smi.temperatures = {0: 40}
    smi.refuse("amdsmi_get_violation_status")
    power = {"current_socket_power": 0xFFFF, "average_socket_power": 300}
    smi.answers["amdsmi_get_power_info"] = lambda gpu: power
    smi.answers["amdsmi_get_gpu_metrics_info"] = lambda gpu: {"throttle_status": True}
    smi.answers["amdsmi_get_gpu_activity"] = lambda gpu: {"gfx_activity": "N/A"}
    smi.refuse("amdsmi_get_gpu_compute_partition")
    management = open_management("amd", "0")
    sample = management.sample()
    assert (sample.power_w, sample.temperature_c) == (300.0, 40)
    assert (sample.utilization_percent, sample.throttle) == (None, ("throttled",))
    assert management.settings().mig_mode is None


def test_amd_limits_by_name_and_unknown_is_not_unthrottled(smi: FakeSmi) -> None:
    smi.reasons |= {"active_ppt_pwr": True, "active_hbm_thrm": "N/A"}
    assert open_management("amd", "0").sample().throttle == ("package_power",)
    smi.reasons = dict.fromkeys(smi.reasons, "N/A")
    assert open_management("amd", "0").sample().throttle is None


def test_amd_reasons_in_one_line(smi: FakeSmi) -> None:
    with pytest.raises(NoManagement, match="no AMD GPU 1: 1 here"):
        open_management("amd", "1")
    smi.refuse("amdsmi_get_processor_handles")
    with pytest.raises(NoManagement, match=r"answer: Error code: 34 \| driver not loaded"):
        open_management("amd", "0")
    amd.library.cache_clear()
    smi.refuse("amdsmi_init")
    with pytest.raises(NoManagement, match="does not answer"):
        count("amd")


def test_amdsmi_is_found_where_rocm_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "share" / "amd_smi" / "amdsmi"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "class AmdSmiException(Exception): ...\n"
        "def amdsmi_init(): ...\n"
        "def amdsmi_get_processor_handles(): return ['a', 'b']\n"
    )
    monkeypatch.setenv("ROCM_PATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    before = list(sys.path)
    amd.library.cache_clear()
    try:
        assert count("amd") == 2
    finally:
        amd.library.cache_clear()
        sys.modules.pop("amdsmi", None)
    assert sys.path == before


def test_a_gpu_that_is_not_there_is_told_from_a_library_that_is_not(smi: FakeSmi) -> None:
    with pytest.raises(NoGpu):
        open_management("amd", "1")
    amd.library.cache_clear()
    smi.refuse("amdsmi_init")
    with pytest.raises(NoManagement) as refused:
        open_management("amd", "0")
    assert not isinstance(refused.value, NoGpu)


def test_amdsmi_without_its_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints and raises KeyError (7.0.2, as on PyPI, on a machine without ROCm)."""
    real = builtins.__import__

    def broken(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name != "amdsmi":
            return real(name, *arguments, **keywords)
        print("Unable to find libamd_smi.so")
        raise KeyError("libamd_smi.so")

    monkeypatch.setattr(builtins, "__import__", broken)
    amd.library.cache_clear()
    with pytest.raises(NoManagement, match="libamd_smi"):
        count("amd")
    assert capsys.readouterr().out == ""


def test_a_gpu_is_found_by_its_uuid(nvml: FakeNvml) -> None:
    asked = []
    nvml.answer("nvmlDeviceGetHandleByUUID", lambda uuid: asked.append(uuid) or GPU)
    nvml.of_gpu("nvmlDeviceGetIndex", 1)
    info = open_management("nvidia", "GPU-1234").info()
    assert (asked, info.index, info.uuid) == (["GPU-1234"], 1, "GPU-1234")
    nvml.refuse("nvmlDeviceGetHandleByUUID", pynvml.NVML_ERROR_NOT_FOUND)
    with pytest.raises(NoManagement, match="NVIDIA GPU GPU-5 does not answer: Not Found"):
        open_management("nvidia", "GPU-5")


def test_a_mig_instance_has_its_own_uuid_and_memory_and_its_gpus_clocks(nvml: FakeNvml) -> None:
    instance = object()
    nvml.answer("nvmlDeviceGetHandleByUUID", lambda uuid: instance)
    nvml.answer("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", {instance: GPU}.__getitem__)
    nvml.answer("nvmlDeviceGetUUID", {instance: "MIG-5", GPU: "GPU-1234"}.__getitem__)
    small = SimpleNamespace(total=10 * GIB, used=1)
    nvml.answer("nvmlDeviceGetMemoryInfo", lambda gpu: small if gpu is instance else None)
    nvml.of_gpu("nvmlDeviceGetIndex", 0)
    management = open_management("nvidia", "MIG-5")
    info = management.info()
    assert (info.uuid, info.memory_mib, info.name) == ("MIG-5", 10 * 1024, "NVIDIA H100 80GB HBM3")
    assert management.sample().sm_clock_mhz == 1755
