"""The host platform, parent's side: the device process that a sweep's trials share."""

import importlib.metadata
import sys
from pathlib import Path

from runner.errors import UserError
from runner.platforms import ChildSetup, available_cores
from xsched_bindings.host import Device, DeviceSession
from xsched_bindings.host.policies import POLICIES
from xsched_bindings.types import PreemptLevel

LOADER = "runner.platforms.host_programs:load"


def cpu_model() -> str:
    """The processor's name, "unknown" where /proc does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


class HostPlatform:
    """Executors on the last `device_cores` CPU cores; everything else on the others."""

    name = "host"
    placements = ("threads",)
    schedulers = ("local",)
    policies = tuple(policy.name for policy in POLICIES)
    highest_level = PreemptLevel.interrupt

    def __init__(self, device_cores: int) -> None:
        cores = available_cores()
        if device_cores > max(1, len(cores) - 1):
            raise UserError(
                "platform.device_cores",
                device_cores,
                f"this machine has {len(cores)} cores, and submitters need one",
                f"1 to {max(1, len(cores) - 1)}",
            )
        self.device_cores = cores[-device_cores:]
        #: Where everything but executors runs; shared with them on a machine of one core.
        self.other_cores = cores[:-device_cores] or cores
        self._device: Device | None = None
        self._session: DeviceSession | None = None

    def missing(self) -> str:
        return "" if sys.platform == "linux" else "it needs Linux (SIGSTOP, eventfd, pidfd)"

    def fingerprint(self) -> str:
        torch = importlib.metadata.version("torch")
        return f"host {cpu_model()} cores={len(self.device_cores)} torch={torch}"

    def open(self, log: Path) -> None:
        if self._device is not None and self._device.alive:
            return
        self.close()
        with log.open("ab") as stderr:
            self._device = Device(LOADER, self.device_cores, stderr)

    def set_up_child(self) -> ChildSetup:
        assert self._device is not None, "open the platform first"
        if self._session is not None:
            self._session.close()
        self._session = self._device.connect()
        return ChildSetup({"device": self._session.fileno()}, self.other_cores)

    def release_child(self) -> None:
        """Close our copy of the session: the trial's process holds the other one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None
