"""The management library of each vendor; see `runner.platforms.gpu.management.base`."""

from collections.abc import Callable
from functools import cache

from runner.platforms.gpu.management import amd, nvidia
from runner.platforms.gpu.management.base import Management


def open_management(vendor: str, device: str) -> Management:
    """A GPU of `vendor`, "nvidia" or "amd", by its number from 0 or by its UUID. Raises
    NoManagement."""
    open_gpu: dict[str, Callable[[str], Management]] = {"nvidia": nvidia.Nvidia, "amd": amd.Amd}
    return open_gpu[vendor](device)


#: The same once a process: without persistence mode the driver starts anew at every opening.
opened = cache(open_management)


def count(vendor: str) -> int:
    """How many GPUs of `vendor` this machine has. Raises NoManagement where nobody can say."""
    return {"nvidia": nvidia.count, "amd": amd.count}[vendor]()
