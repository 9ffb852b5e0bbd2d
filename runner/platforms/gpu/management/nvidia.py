"""NVIDIA GPUs through NVML, the library behind nvidia-smi, with nvidia-ml-py's binding."""

import time
from collections.abc import Callable
from typing import Any

from runner.platforms.device import GpuInfo, GpuSample, GpuSettings
from runner.platforms.gpu.management.base import (
    GpuProcess,
    NoGpu,
    NoManagement,
    mib,
    process_name,
    watts,
)

#: NVML's reasons that slow the GPU against its own will. Idling and clocks that somebody set are no
#: throttling. hw_slowdown comes with one of the other two hw_ reasons, or alone.
REASONS = {
    "sw_power_cap": "nvmlClocksEventReasonSwPowerCap",
    "hw_slowdown": "nvmlClocksEventReasonHwSlowdown",
    "sw_thermal": "nvmlClocksEventReasonSwThermalSlowdown",
    "hw_thermal": "nvmlClocksEventReasonHwThermalSlowdown",
    "hw_power_brake": "nvmlClocksEventReasonHwPowerBrakeSlowdown",
}


def count() -> int:
    nvml = _start()
    try:
        return int(nvml.nvmlDeviceGetCount())
    except nvml.NVMLError as error:
        raise NoManagement(f"the NVIDIA driver does not answer: {error}") from error
    finally:
        nvml.nvmlShutdown()


def _start() -> Any:
    """NVML, initialised: it counts, so each start needs its own shutdown. Makes no CUDA context."""
    try:
        import pynvml
    except ImportError:
        raise NoManagement("nvidia-ml-py is not installed (pip install nvidia-ml-py)") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoManagement(f"the NVIDIA driver does not answer: {error}") from error
    return pynvml


#: So the UUIDs of instances begin.
MIG = "MIG-"


class Nvidia:
    """device: a number, or a UUID. Of a MIG instance all that is told is of its GPU, but the UUID
    and the memory."""

    def __init__(self, device: str) -> None:
        there = count()
        if device.isdigit() and int(device) >= there:
            raise NoGpu(f"there is no NVIDIA GPU {device}: {there} here, from 0")
        self._nvml = _start()
        try:
            self._open(device)
        except self._nvml.NVMLError as error:
            self._nvml.nvmlShutdown()
            raise NoManagement(f"NVIDIA GPU {device} does not answer: {error}") from error

    def _open(self, device: str) -> None:
        nvml = self._nvml
        if device.isdigit():
            self._used = self._gpu = nvml.nvmlDeviceGetHandleByIndex(int(device))
        else:
            self._used = self._gpu = nvml.nvmlDeviceGetHandleByUUID(device)
        if device.startswith(MIG):
            self._gpu = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self._used)
        self._index = int(device) if device.isdigit() else nvml.nvmlDeviceGetIndex(self._gpu)

    def close(self) -> None:
        self._nvml.nvmlShutdown()

    def info(self) -> GpuInfo:
        nvml = self._nvml
        pci = self._told(nvml.nvmlDeviceGetPciInfo)
        capability = self._told(nvml.nvmlDeviceGetCudaComputeCapability)
        memory = self._ask(self._used, nvml.nvmlDeviceGetMemoryInfo)
        return GpuInfo(
            vendor="nvidia",
            index=self._index,
            name=self._told(nvml.nvmlDeviceGetName) or "",
            uuid=self._ask(self._used, nvml.nvmlDeviceGetUUID) or "",
            pci=f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0" if pci else "",
            driver=self._told(lambda _: nvml.nvmlSystemGetDriverVersion()) or "",
            compute_capability=tuple(capability) if capability else None,
            architecture="sm_{}{}".format(*capability) if capability else "",
            memory_mib=mib(memory and memory.total),
        )

    def sample(self) -> GpuSample:
        nvml = self._nvml
        utilization = self._told(nvml.nvmlDeviceGetUtilizationRates)
        memory = self._told(nvml.nvmlDeviceGetMemoryInfo)
        return GpuSample(
            at_ns=time.monotonic_ns(),
            sm_clock_mhz=self._told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            memory_clock_mhz=self._told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
            power_w=watts(self._told(nvml.nvmlDeviceGetPowerUsage), 1000),
            temperature_c=self._told(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            utilization_percent=utilization and utilization.gpu,
            memory_used_mib=mib(memory and memory.used),
            throttle=self._throttle(),
        )

    def _throttle(self) -> tuple[str, ...] | None:
        active = self._told(self._nvml.nvmlDeviceGetCurrentClocksEventReasons)
        if active is None:
            return None
        return tuple(name for name, bit in REASONS.items() if active & getattr(self._nvml, bit))

    def processes(self) -> list[GpuProcess]:
        nvml = self._nvml
        lists = (
            nvml.nvmlDeviceGetComputeRunningProcesses,
            nvml.nvmlDeviceGetGraphicsRunningProcesses,
            nvml.nvmlDeviceGetMPSComputeRunningProcesses,
        )
        # One that computes and draws is in two lists.
        used = {
            found.pid: found.usedGpuMemory for each in lists for found in self._told(each) or ()
        }
        return [GpuProcess(pid, process_name(pid), mib(size)) for pid, size in used.items()]

    def settings(self) -> GpuSettings:
        nvml = self._nvml
        modes = {
            nvml.NVML_COMPUTEMODE_DEFAULT: "default",
            nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS: "exclusive",
            nvml.NVML_COMPUTEMODE_PROHIBITED: "prohibited",
        }
        clock = nvml.NVML_CLOCK_GRAPHICS
        return GpuSettings(
            persistence_mode=_switch(self._told(nvml.nvmlDeviceGetPersistenceMode)),
            compute_mode=modes.get(self._told(nvml.nvmlDeviceGetComputeMode)),
            mig_mode=_switch(self._told(nvml.nvmlDeviceGetMigMode)),
            ecc=_switch(self._told(nvml.nvmlDeviceGetEccMode)),
            power_limit_w=watts(self._told(nvml.nvmlDeviceGetPowerManagementLimit), 1000),
            default_power_limit_w=watts(
                self._told(nvml.nvmlDeviceGetPowerManagementDefaultLimit), 1000
            ),
            max_sm_clock_mhz=self._told(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_SM),
            applications_sm_clock_mhz=self._told(nvml.nvmlDeviceGetApplicationsClock, clock),
            clocks_locked=None,
        )

    def _told(self, function: Callable[..., Any], *arguments: int) -> Any:
        """NVML's answer, None where this GPU or driver has none."""
        return self._ask(self._gpu, function, *arguments)

    def _ask(self, gpu: Any, function: Callable[..., Any], *arguments: int) -> Any:
        try:
            return function(gpu, *arguments)
        except self._nvml.NVMLError:
            return None


def _switch(told: int | list[int] | None) -> bool | None:
    """On or off; of a pair the current state, not the one after the next reset."""
    state = told[0] if isinstance(told, list) else told
    return None if state is None else bool(state)
