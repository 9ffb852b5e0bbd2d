"""The makers of GPUs that have a platform. Imports nothing: `choose` asks at every start."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """device_node: what the kernel driver puts there. visible: the variable that chooses a GPU.
    forks: whether a trial's processes may be forked from a warm parent. HIP's shim acts while
    libraries load, and nobody with a card has tried it. needs_management: whether a trial must have
    the vendor's management library: NVIDIA's levels follow from the compute capability, which it
    tells, and AMD's do not."""

    name: str
    key: str
    device_node: str
    visible: str
    forks: bool
    needs_management: bool


VENDORS = {
    "cuda": Vendor("NVIDIA", "nvidia", "/dev/nvidiactl", "CUDA_VISIBLE_DEVICES", True, True),
    "hip": Vendor("AMD", "amd", "/dev/kfd", "HIP_VISIBLE_DEVICES", False, False),
}
