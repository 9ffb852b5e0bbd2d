"""Several GPUs of one host: which ones, their CPU cores, and the one server of XSched's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.config.errors import UserError
from runner.config.resolve import ALL
from runner.config.schema import Config
from runner.config.spec import TrialSpec
from runner.platforms.gpu import allocation, xserver
from runner.platforms.gpu.management.base import NoManagement
from runner.platforms.gpu.management.open import opened
from runner.platforms.gpu.vendors import VENDORS
from runner.platforms.gpu.xserver import XServer
from runner.platforms.machine import available_cores
from xsched_bindings.library import find


def devices(config: Config) -> list[str]:
    """The GPUs that repeats are spread over, as `platform.device` takes them; [] for one. Raises
    `UserError` for what is not there."""
    name, asked = config.platform.name, config.platform.devices
    try:
        found = allocation.everything(name) if asked == ALL else asked
        for each in found:
            opened(VENDORS[name].key, allocation.real(name, each))
    except NoManagement as error:
        raise UserError("platform.devices", ",".join(asked), str(error)) from error
    return found


def cores_of(config: Config) -> list[int]:
    """The CPU cores of the GPU's trials where there are several: as many for each, those of one GPU
    beside each other. [] for all cores."""
    several, cores = devices(config), available_cores()
    each = len(cores) // max(1, len(several))
    if config.platform.device not in several or not each:
        return []
    first = several.index(config.platform.device) * each
    return cores[first : first + each]


@contextmanager
def server(config: Config, trials: Sequence[TrialSpec], folder: Path) -> Iterator[str | None]:
    """The address of one XSched server for all of these trials, which run at the same time on
    several GPUs: there can be only one on a machine, and its policies look at each GPU by itself
    (``sched/src/policy``). None where each trial has its own, in turns with all others: on one GPU,
    and of several policies. Its log goes to `folder`. Raises `PlatformError`."""
    asked = config.platform.server
    own = [each for each in trials if each.uses_xsched and each.placement == "processes"]
    policies = {each.policy for each in own}
    if asked or len(policies) != 1 or len(devices(config)) < 2:
        yield None
        return
    started = XServer(xserver.binary(find(config.xsched.home)), policies.pop(), folder)
    try:
        yield started.address
    finally:
        started.stop()
