"""The makers of GPUs that have a platform. Imports nothing: `choose` asks at every start."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """device_node: what the kernel driver puts there. visible: the variable that chooses a GPU.
    allocations: those by which somebody else has chosen, each among what the one before left.
    forks: whether a trial's processes may be forked from a warm parent. HIP's shim acts while
    libraries load, and nobody with a card has tried it. needs_management: whether a trial must have
    the vendor's management library: NVIDIA's levels follow from the compute capability, which it
    tells, and AMD's do not."""

    name: str
    key: str
    device_node: str
    visible: str
    allocations: tuple[str, ...]
    forks: bool
    needs_management: bool


VENDORS = {
    "cuda": Vendor(
        name="NVIDIA",
        key="nvidia",
        device_node="/dev/nvidiactl",
        visible="CUDA_VISIBLE_DEVICES",
        allocations=("CUDA_VISIBLE_DEVICES",),
        forks=True,
        needs_management=True,
    ),
    "hip": Vendor(
        name="AMD",
        key="amd",
        device_node="/dev/kfd",
        visible="HIP_VISIBLE_DEVICES",
        allocations=("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"),
        forks=False,
        needs_management=False,
    ),
}
