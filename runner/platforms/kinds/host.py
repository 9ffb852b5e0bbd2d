"""The host platform, parent's side: the device process that a sweep's trials share."""

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.config.schema import POLICY_NAMES, Config
from runner.config.spec import TrialSpec
from runner.platforms.contract import ChildSetup, Observations, Platform, Session
from runner.platforms.device import DeviceOrigin
from runner.platforms.host import limits
from runner.platforms.machine import available_cores, cpu_model
from xsched_bindings.host import Device, DeviceSession
from xsched_bindings.policies import POLICIES
from xsched_bindings.types import PreemptLevel

LOG = "device.log"
LOADER = "runner.platforms.host.programs:load"


def open_platform(config: Config) -> Platform:
    return HostPlatform(config.platform.device_cores)


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> Session:
    """The session over the inherited connection to the device."""
    from runner.platforms.host.session import HostSession

    device = DeviceSession.from_fd(start["fds"]["device"], start["details"]["device_pid"])
    return HostSession(trial, device, say)


class HostPlatform:
    """Executors on the last `device_cores` CPU cores; everything else on the others."""

    name = "host"
    placements = ("threads",)
    policies = tuple(name for name in POLICY_NAMES if name in POLICIES)
    lock = "host"

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

    def no_arm(self, arm: Arm, placement: str) -> str:
        return "platform host does not have MPS" if arm.needs_mps else ""

    def levels(self, placement: str, cuda_lv3: str) -> tuple[PreemptLevel, ...]:
        return tuple(PreemptLevel)

    def uses_mps(self, asked: str, trial: TrialSpec) -> bool:
        if asked == "on":
            raise UserError("platform.mps", asked, "platform host does not have that", ["auto"])
        return False

    def missing(self, trial: TrialSpec) -> str:
        if sys.platform != "linux":
            return "it needs Linux (SIGSTOP, eventfd, pidfd)"
        if not Path("/proc/self/stat").exists():
            return "it needs /proc, which tells whether an executor is stopped"
        return limits.exceeded(trial)

    def exclusive(self, trial: TrialSpec) -> tuple[str, ...]:
        return ()

    def fingerprint(self, trial: TrialSpec) -> str:
        return f"host {cpu_model()} cores={len(self.device_cores)} torch={_torch_version()}"

    def provenance(self) -> DeviceOrigin:
        return DeviceOrigin(device_cores=tuple(self.device_cores))

    def open(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None:
        if self._device is not None and self._device.alive:
            return
        self.close()
        limits.lift()
        with (folder / LOG).open("ab") as stderr:
            self._device = Device(LOADER, self.device_cores, stderr)

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        assert self._device is not None, "open the platform first"
        self.release_children()
        self._session = self._device.connect()
        return [
            ChildSetup(
                list(range(len(trial.tasks))),
                {"device": self._session.fileno()},
                self.other_cores,
                details={"device_pid": self._session.pid},
            )
        ]

    def release_children(self) -> None:
        """Close our copy of the session: the trial's process holds the other one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def last_words(self, folder: Path) -> list[Path]:
        return [folder / LOG]

    def trouble(self) -> str:
        return ""  # the trial's process watches the device itself

    def begin_window(self, pids: Sequence[int]) -> None:
        """Nothing to observe: what the executors did is in the scheduler's log."""

    def end_window(self, folder: Path) -> Observations:
        return Observations()

    def end_trial(self) -> None:
        """The device is kept for the next trial; the session ends with the trial's process."""

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


@cache
def _torch_version() -> str:
    """Of what is installed; reading that takes a millisecond."""
    return importlib.metadata.version("torch")
