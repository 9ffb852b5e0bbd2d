"""NVIDIA and AMD GPUs: what can be said about them without touching one.

Scheduling on GPUs is not part of this version; asking for it is refused, with what was found.
"""

from dataclasses import dataclass
from pathlib import Path

from runner.platforms import ChildSetup
from xsched_bindings.types import PolicyType, PreemptLevel


@dataclass(frozen=True)
class GpuPlatform:
    """device_node: what the kernel driver puts there. highest_level: the most that XSched can do on
    any device of the vendor; most NVIDIA GPUs can do less."""

    name: str
    vendor: str
    device_node: str
    highest_level: PreemptLevel
    placements: tuple[str, ...] = ("threads", "processes")
    schedulers: tuple[str, ...] = ("local", "global")
    policies: tuple[str, ...] = tuple(policy.name for policy in PolicyType)

    def missing(self) -> str:
        if not Path(self.device_node).exists():
            return f"no {self.vendor} GPU here ({self.device_node} does not exist)"
        return f"there is a {self.vendor} GPU, but this version schedules on platform host only"

    def fingerprint(self) -> str:
        raise RuntimeError(self.missing())

    def open(self, log: Path) -> None:
        raise RuntimeError(self.missing())

    def set_up_child(self) -> ChildSetup:
        raise RuntimeError(self.missing())

    def release_child(self) -> None:
        """Nothing is ever set up."""

    def close(self) -> None:
        """Nothing is ever open."""


GPUS = {
    "cuda": GpuPlatform("cuda", "NVIDIA", "/dev/nvidiactl", PreemptLevel.interrupt),
    "hip": GpuPlatform("hip", "AMD", "/dev/kfd", PreemptLevel.block),
}
