"""One device, one trial: commands on the same device take turns, trial by trial."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.config.errors import UserError
from runner.platforms.choose import shared
from runner.platforms.contract import PlatformError
from runner.runs import locks
from runner.sweep.plan import Planned


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
    asked = ((shared(each.config).lock, each.config.platform.wait) for each in points)
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
    return Path(tempfile.gettempdir()) / f"xsched-runner-{device}.lock"
