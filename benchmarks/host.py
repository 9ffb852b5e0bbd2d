"""A device and a session for the benchmarks that talk to the bindings directly."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from models import ModelSpec
from runner.platforms.kinds.host import LOADER, HostPlatform
from xsched_bindings.host import Device, DeviceSession, HostQueue, HostScheduler, HostStream
from xsched_bindings.host.processes import exact_timers
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType


@contextmanager
def session() -> Iterator[DeviceSession]:
    """A session on a fresh device, with this process off the device's core, as in a trial."""
    platform = HostPlatform(device_cores=1)
    os.sched_setaffinity(0, platform.other_cores)
    exact_timers()
    with Device(LOADER, platform.device_cores) as device, device.connect() as connected:
        yield connected
    os.sched_setaffinity(0, platform.other_cores + platform.device_cores)


def stream(device: DeviceSession, model: ModelSpec) -> HostStream:
    return device.open_stream([model.as_dict()])


def queue(of: HostStream, level: PreemptLevel, threshold: int, batch_size: int) -> HostQueue:
    scheduler = HostScheduler()
    scheduler.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
    made = scheduler.create_queue(of, level)
    made.set_launch_config(threshold, batch_size)
    return made


def request(of: HostStream) -> None:
    of.submit(of.programs[0])
    of.synchronize()
