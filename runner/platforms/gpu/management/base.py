"""The vendor's management library, NVML or AMD SMI, behind one interface.

A GPU's `index` is the library's own, by PCI bus. CUDA counts likewise only with
CUDA_DEVICE_ORDER=PCI_BUS_ID and without CUDA_VISIBLE_DEVICES; elsewhere compare `GpuInfo.pci`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import psutil

from runner.platforms.device import GpuInfo, GpuSample, GpuSettings

MIB = 2**20


class NoManagement(Exception):
    """The library is not installed, or does not start; the message says which."""


class NoGpu(NoManagement):
    """It works, and knows no such GPU."""


@dataclass(frozen=True)
class GpuProcess:
    """A process with a context on the GPU. name: "" if /proc does not show it to us."""

    pid: int
    name: str
    memory_mib: int | None


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
