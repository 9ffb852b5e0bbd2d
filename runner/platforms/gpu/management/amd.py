"""AMD GPUs through AMD SMI's Python binding, which comes with ROCm 6.3 and later.

Written after the sources of amdsmi 6.3 and 7.0 and AMD's reference; never run on such a GPU.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
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

#: MI300 and later say which limit is reached; see "GPU violations" in AMD SMI's documentation.
REASONS = {
    "package_power": "active_ppt_pwr",
    "socket_thermal": "active_socket_thrm",
    "regulator_thermal": "active_vr_thrm",
    "hbm_thermal": "active_hbm_thrm",
    "processor_hot": "active_prochot_thrm",
}
#: The largest number of its type, or "N/A", stands for a value that is not there.
NO_VALUE = (0xFFFF, 0xFFFFFFFF, 2**64 - 1)


def count() -> int:
    return len(_handles())


def _handles() -> list[Any]:
    smi = library()
    try:
        return list(smi.amdsmi_get_processor_handles())
    except smi.AmdSmiException as error:
        raise NoManagement(f"the AMD driver does not answer: {_line(error)}") from error


@cache
def library() -> Any:
    """AMD SMI, initialised once a process and never shut down: it does not count, so that the first
    shutdown would invalidate every other user's handles."""
    try:
        amdsmi = _binding()
    except Exception as error:
        raise NoManagement(f"amdsmi, a part of ROCm, is not installed ({error!r})") from error
    try:
        amdsmi.amdsmi_init()
    except amdsmi.AmdSmiException as error:
        raise NoManagement(f"the AMD driver does not answer: {_line(error)}") from error
    return amdsmi


def _binding() -> Any:
    """The Python package: installed, or where ROCm puts it, which no interpreter looks in."""
    # Without its C library it says so on standard output, then fails with a KeyError.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import amdsmi
        except ModuleNotFoundError:
            folder = str(Path(os.environ.get("ROCM_PATH") or "/opt/rocm", "share", "amd_smi"))
            sys.path.append(folder)
            try:
                import amdsmi
            finally:
                sys.path.remove(folder)
    return amdsmi


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


class Amd:
    """device: a number."""

    def __init__(self, device: str) -> None:
        gpus = _handles()
        index = int(device) if device.isdigit() else len(gpus)
        if index >= len(gpus):
            raise NoGpu(f"there is no AMD GPU {device}: {len(gpus)} here, from 0")
        self._smi = library()
        self._index = index
        self._gpu = gpus[index]

    def close(self) -> None:
        """Nothing: see `library`."""

    def info(self) -> GpuInfo:
        smi = self._smi
        chip = self._told(smi.amdsmi_get_gpu_asic_info)
        architecture = _text(chip, "target_graphics_version")
        return GpuInfo(
            vendor="amd",
            index=self._index,
            name=_text(chip, "market_name"),
            uuid=self._told(smi.amdsmi_get_gpu_device_uuid) or "",
            pci=self._told(smi.amdsmi_get_gpu_device_bdf) or "",
            driver=_text(self._told(smi.amdsmi_get_gpu_driver_info), "driver_version"),
            compute_capability=None,
            # gfxffffffffffffffff where the driver does not tell.
            architecture="" if architecture.endswith("ffff") else architecture,
            memory_mib=mib(self._told(smi.amdsmi_get_gpu_memory_total, smi.AmdSmiMemoryType.VRAM)),
        )

    def sample(self) -> GpuSample:
        smi = self._smi
        power = self._told(smi.amdsmi_get_power_info)
        activity = self._told(smi.amdsmi_get_gpu_activity)
        used = self._told(smi.amdsmi_get_gpu_memory_usage, smi.AmdSmiMemoryType.VRAM)
        current = _number(power, "current_socket_power")  # MI300 and later
        average = _number(power, "average_socket_power")  # before
        return GpuSample(
            at_ns=time.monotonic_ns(),
            sm_clock_mhz=_number(self._clock(smi.AmdSmiClkType.GFX), "clk"),
            memory_clock_mhz=_number(self._clock(smi.AmdSmiClkType.MEM), "clk"),
            power_w=watts(average if current is None else current, 1),
            temperature_c=self._temperature(),
            utilization_percent=_number(activity, "gfx_activity"),
            memory_used_mib=mib(used),
            throttle=self._throttle(),
        )

    def _clock(self, kind: Any) -> Any:
        return self._told(self._smi.amdsmi_get_clock_info, kind)

    def _temperature(self) -> int | None:
        """Of the hottest spot; MI300 has no sensor at the edge, some Radeons only that."""
        now, kinds = self._smi.AmdSmiTemperatureMetric.CURRENT, self._smi.AmdSmiTemperatureType
        for kind in (kinds.HOTSPOT, kinds.EDGE):
            told: int | None = self._told(self._smi.amdsmi_get_temp_metric, kind, now)
            if told is not None:
                return told
        return None

    def _throttle(self) -> tuple[str, ...] | None:
        """Takes 0.1 s on MI300: the library compares two readings of the firmware's counters."""
        limits = self._told(self._smi.amdsmi_get_violation_status) or {}
        states = {name: _switch(limits.get(key)) for name, key in REASONS.items()}
        if any(state is not None for state in states.values()):
            return tuple(name for name, state in states.items() if state)
        # Before MI300 the binding says that something throttles, not what.
        metrics = self._told(self._smi.amdsmi_get_gpu_metrics_info) or {}
        throttled = _switch(metrics.get("throttle_status"))
        return None if throttled is None else ("throttled",) * throttled

    def processes(self) -> list[GpuProcess]:
        found = self._told(self._smi.amdsmi_get_gpu_process_list) or ()
        return [
            GpuProcess(
                each["pid"],
                process_name(each["pid"]),
                mib(_number(each["memory_usage"], "vram_mem")),
            )
            for each in found
        ]

    def settings(self) -> GpuSettings:
        smi = self._smi
        partition = self._told(smi.amdsmi_get_gpu_compute_partition)
        protected = self._told(smi.amdsmi_get_gpu_ecc_enabled)
        power = self._told(smi.amdsmi_get_power_cap_info)
        clock = self._clock(smi.AmdSmiClkType.GFX)
        return GpuSettings(
            persistence_mode=None,
            compute_mode=None,
            mig_mode=partition != "SPX" if partition else None,
            # One bit for each part of the chip.
            ecc=None if protected is None else protected != 0,
            power_limit_w=watts(_number(power, "power_cap"), 10**6),
            default_power_limit_w=watts(_number(power, "default_power_cap"), 10**6),
            max_sm_clock_mhz=_number(clock, "max_clk"),
            applications_sm_clock_mhz=None,
            clocks_locked=_switch((clock or {}).get("clk_locked")),
        )

    def _told(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """AMD SMI's answer, None where this GPU or driver has none."""
        try:
            return function(self._gpu, *arguments)
        except self._smi.AmdSmiException:
            return None


def _number(told: Mapping[str, Any] | None, key: str) -> int | None:
    value = (told or {}).get(key)
    return value if isinstance(value, int) and value not in NO_VALUE else None


def _text(told: Mapping[str, Any] | None, key: str) -> str:
    value = str((told or {}).get(key, ""))
    return "" if value == "N/A" else value


def _switch(value: object) -> bool | None:
    """True and False, also as 1 and 0; "N/A" and 255 are neither."""
    return bool(value) if value in (0, 1) else None
