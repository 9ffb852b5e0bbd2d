"""Time that a hypervisor gave to somebody else while this machine wanted to run."""

from typing import Any

import psutil


class Stolen:
    """Watches the CPU cores from its making on."""

    def __init__(self) -> None:
        self._before = psutil.cpu_times(percpu=True)

    def share(self) -> float:
        """Of the core that lost most, the part of its time (0 to 1); 0 where nobody tells."""
        now = psutil.cpu_times(percpu=True)
        return max((_share(*core) for core in zip(self._before, now, strict=False)), default=0.0)


def _share(before: Any, now: Any) -> float:
    whole = sum(now) - sum(before)
    return (getattr(now, "steal", 0.0) - getattr(before, "steal", 0.0)) / whole if whole else 0.0
