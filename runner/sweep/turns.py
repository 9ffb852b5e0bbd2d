"""One device, one trial: commands on the same device take turns, trial by trial. Of several devices
each process has one for itself."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.choose import devices, shared
from runner.platforms.contract import PlatformError
from runner.runs import locks
from runner.sweep.plan import Planned
from runner.trial import interruption

#: The same for all processes of a machine, whatever their TMPDIR.
LOCKS = Path("/dev/shm")
#: Devices that this process has for itself.
_seats: dict[str, ExitStack] = {}


@contextmanager
def device_lock(
    device: str, wait: bool, say: Callable[[str], object], doing: str = ""
) -> Iterator[None]:
    """One device, one experiment: a second trial on this machine waits for its turn or, without
    `wait`, is refused with `PlatformError`. doing: what those who wait are told of us."""
    try:
        with locks.held(
            _file(device), wait, lambda owner: say(f"waiting for another trial: {owner}"), doing
        ):
            yield
    except locks.Taken as taken:
        raise PlatformError(
            f"another trial uses this device ({device}): {taken}; leave platform.wait=false out "
            "to wait for its end"
        ) from None


def others(points: Sequence[Planned]) -> list[str]:
    """Who is at the devices of a sweep that is about to begin, a line each. Raises `UserError` if
    nobody is to wait for them. Who comes between two of their trials meets them at a later one."""
    lines = []
    asked = (
        (shared(each.config).lock, each.config.platform.wait)
        for each in points
        if not each.config.platform.devices  # each process finds a free one
    )
    for device, wait in dict.fromkeys(asked):
        if owner := _user(device):
            problem = f"another command uses this device ({device}): {owner}"
            if not wait:
                remedy = "wait for its end, or leave platform.wait=false out to take turns with it"
                raise UserError("platform.wait", "false", problem, remedy=remedy)
            lines.append(f"{problem}; its trials and these take turns")
    return list(dict.fromkeys(lines))


def _user(device: str) -> locks.Owner | None:
    """Who has a trial on the device now; None if nobody is seen to."""
    try:
        with locks.held(_file(device), wait=False, say=print):
            return None
    except locks.Taken as taken:
        return taken.owner
    except OSError:  # the trial says why its lock cannot be had
        return None


def _file(device: str) -> Path:
    folder = LOCKS if os.access(LOCKS, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return folder / f"xsched-runner-{device}.lock"


def seat(config: Config) -> str:
    """One of several devices that no other process of a sweep has, for as long as this process
    lives: its warm parents are there. "" where there are not several. See `platform.device`."""
    several = devices(config)
    while several:
        for each in several:
            device = shared(on(config, each)).lock
            if device in _seats:
                return each
            with suppress(locks.Taken), ExitStack() as held:
                held.enter_context(locks.held(_file(f"{device}-jobs"), wait=False, say=print))
                _seats[device] = held.pop_all()
                return each
        interruption.check()
        time.sleep(locks.LOOK_S)
    return ""


def on(config: Config, device: str) -> Config:
    """The configuration with that device, if there is one to choose."""
    if not device:
        return config
    return replace(config, platform=replace(config.platform, device=device))
