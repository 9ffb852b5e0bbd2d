"""Which GPUs this process was given: what a queue or a person chose by environment variables.

Numbers are the driver's, by PCI bus, as the management libraries count. CUDA itself counts so under
CUDA_DEVICE_ORDER=PCI_BUS_ID, which the trial's processes get.
"""

import os
from collections.abc import Sequence

from runner.platforms.gpu.management.base import NoGpu
from runner.platforms.gpu.management.open import count
from runner.platforms.gpu.vendors import VENDORS


def allocated(platform: str) -> list[str] | None:
    """The GPUs, each by its number or UUID; None where nothing chooses among those that there are.
    A variable chooses among what those before it have left."""
    left: list[str] | None = None
    for variable in VENDORS[platform].allocations:
        if variable in os.environ:
            said = [each.strip() for each in os.environ[variable].split(",")]
            left = [one for each in said if (one := _among(left, each))]
    return left


def _among(left: Sequence[str] | None, said: str) -> str:
    """ "" for what is no GPU, as -1, or Slurm's NoDevFiles."""
    if said.isdigit():
        if left is None:
            return said
        return left[int(said)] if int(said) < len(left) else ""
    return said if said.startswith(("GPU-", "MIG-")) else ""


def real(platform: str, device: str) -> str:
    """The GPU that `platform.device` means, by its number of the driver's, or its UUID. Raises
    `NoGpu` for one that was not given to us."""
    given = allocated(platform)
    if given is None or not device.isdigit():
        return device
    if int(device) < len(given):
        return given[int(device)]
    variables = ", ".join(
        f"{name}={os.environ[name]}" for name in VENDORS[platform].allocations if name in os.environ
    )
    vendor = VENDORS[platform].name
    raise NoGpu(f"there is no {vendor} GPU {device} among those given: {len(given)} ({variables})")


def everything(platform: str) -> list[str]:
    """All GPUs that were given, as `platform.device` takes them. Raises
    `runner.platforms.gpu.management.base.NoManagement`."""
    given = allocated(platform)
    number = count(VENDORS[platform].key) if given is None else len(given)
    return [str(each) for each in range(number)]
