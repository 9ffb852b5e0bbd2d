"""The management library of each vendor; see `runner.platforms.gpu.management.base`."""

from collections.abc import Callable

from runner.platforms.gpu.management import amd, nvidia
from runner.platforms.gpu.management.base import Management


def open_management(vendor: str, index: int) -> Management:
    """The GPU `index` (from 0) of `vendor`, "nvidia" or "amd". Raises NoManagement."""
    open_gpu: dict[str, Callable[[int], Management]] = {"nvidia": nvidia.Nvidia, "amd": amd.Amd}
    return open_gpu[vendor](index)


def count(vendor: str) -> int:
    """How many GPUs of `vendor` this machine has. Raises NoManagement where nobody can say."""
    return {"nvidia": nvidia.count, "amd": amd.count}[vendor]()
