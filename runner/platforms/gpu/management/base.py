"""The vendor's management library, NVML or AMD SMI, behind one interface.

A GPU's `index` is the library's own, by PCI bus. CUDA counts likewise only with
CUDA_DEVICE_ORDER=PCI_BUS_ID and without CUDA_VISIBLE_DEVICES; elsewhere compare `GpuInfo.pci`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import psutil

MIB = 2**20


class NoManagement(Exception):
    """The library is not installed, does not start, or knows no such GPU; the message says which.
    No reason to refuse a run: it only cannot say what its GPU did."""


@dataclass(frozen=True)
class GpuInfo:
    """Text is "" where the library does not tell. pci: as Linux writes it, 0000:3b:00.0.
    compute_capability: (9, 0), None for AMD. architecture: sm_90, gfx942."""

    vendor: str
    index: int
    name: str
    uuid: str
    pci: str
    driver: str
    compute_capability: tuple[int, int] | None
    architecture: str
    memory_mib: int | None


@dataclass(frozen=True)
class GpuSample:
    """One moment; None is what the hardware does not tell. at_ns: `time.monotonic_ns`. Power is of
    the board or socket, utilisation the share of the last moments (up to 1 s) with any kernel on
    the GPU, temperature the GPU's own (AMD: hottest spot), memory with the driver's own share.
    throttle: what holds the clock down at this moment, in the vendor's words; () is nothing."""

    at_ns: int
    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_w: float | None
    temperature_c: int | None
    utilization_percent: int | None
    memory_used_mib: int | None
    throttle: tuple[str, ...] | None


@dataclass(frozen=True)
class GpuProcess:
    """A process with a context on the GPU. name: "" if /proc does not show it to us."""

    pid: int
    name: str
    memory_mib: int | None


@dataclass(frozen=True)
class GpuSettings:
    """What can disturb a measurement; None is what the library does not tell. compute_mode:
    default, exclusive or prohibited. mig_mode: split into parts (AMD: a compute partition other
    than SPX). NVML does not tell locked clocks, AMD SMI knows no applications clocks."""

    persistence_mode: bool | None
    compute_mode: str | None
    mig_mode: bool | None
    ecc: bool | None
    power_limit_w: float | None
    default_power_limit_w: float | None
    max_sm_clock_mhz: int | None
    applications_sm_clock_mhz: int | None
    clocks_locked: bool | None


class Management(Protocol):
    """One GPU. No method raises for a value that the GPU does not tell."""

    def info(self) -> GpuInfo: ...

    def sample(self) -> GpuSample: ...

    def processes(self) -> list[GpuProcess]:
        """All that the driver shows us; without rights or across containers maybe none."""

    def settings(self) -> GpuSettings: ...

    def close(self) -> None: ...


def foreign(processes: Iterable[GpuProcess], ours: set[int]) -> list[GpuProcess]:
    """The processes that are not ours."""
    return [process for process in processes if process.pid not in ours]


def own_pids() -> set[int]:
    """This process and all that descend from it, at this moment."""
    children = psutil.Process().children(recursive=True)
    return {os.getpid(), *(child.pid for child in children)}


def process_name(pid: int) -> str:
    """What /proc calls it, "" if it has ended or lives in another container."""
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def mib(size: int | None) -> int | None:
    """Bytes in MiB, rounded down as nvidia-smi does."""
    return None if size is None else size // MIB


def watts(power: int | None, per_watt: int) -> float | None:
    return None if power is None else power / per_watt
