"""What else kept the machine's CPU cores busy: processes that are no part of the experiment."""

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from runner.platforms.machine import available_cores

#: Of a core's time: everything else is work, or was taken by a hypervisor (`runner.trial.stolen`).
NO_WORK = ("idle", "iowait", "steal", "guest", "guest_nice")


@dataclass(frozen=True)
class OtherLoad:
    """How many CPU cores others kept busy on average: of all that this process was given, and of
    those that are the device (None where the device is no core)."""

    cores: float
    device: float | None = None


class Others:
    """Watches from its making on. device_cores: those that executors have for themselves, empty
    where there are none."""

    def __init__(self, device_cores: Collection[int] = ()) -> None:
        self._device_cores = frozenset(device_cores)
        self._before = self._look()

    def load(self) -> OtherLoad | None:
        """Until now; None where the system does not tell."""
        before, now = self._before, self._look()
        if before is None or now is None or now.at_s <= before.at_s:
            return None
        seconds = now.at_s - before.at_s
        others = max(0.0, now.others_s - before.others_s) / seconds
        device = max(0.0, now.on_device_s - before.on_device_s) / seconds
        return OtherLoad(others, device if self._device_cores else None)

    def _look(self) -> "_Look | None":
        """CPU seconds of others since the machine began: those that cores worked, without ours."""
        try:
            worked = dict(enumerate(map(_worked, psutil.cpu_times(percpu=True))))
            ours = list(_ours(self._device_cores))
        except (psutil.Error, OSError):
            return None
        return _Look(
            time.monotonic(),
            sum(worked.get(core, 0.0) for core in available_cores()) - sum(s for s, _ in ours),
            sum(worked.get(core, 0.0) for core in self._device_cores)
            - sum(seconds for seconds, on_device in ours if on_device),
        )


@dataclass(frozen=True)
class _Look:
    at_s: float
    others_s: float
    on_device_s: float


def _worked(core: Any) -> float:
    """Guests are in the time of users already."""
    return sum(float(s) for name, s in core._asdict().items() if name not in NO_WORK)


def _ours(device_cores: Collection[int]) -> Iterator[tuple[float, bool]]:
    """(CPU seconds, whether they were on the device's cores) of this process and all below it, with
    those that have ended."""
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended, and its parent has its time
            used = process.cpu_times()
            seconds = used.user + used.system + used.children_user + used.children_system
            yield seconds, bool(device_cores) and set(process.cpu_affinity()) <= set(device_cores)
