"""The reference platform: XSched's multi-level hardware model on CPU cores.

A hardware queue (`HostStream`) is an executor process that runs commands in order; a
`HostQueue` puts XSched's launch worker and the three preemption levels on top of it; a
`HostScheduler` runs XSched's policies over the queues. Linux only: it rests on SIGSTOP,
eventfd, memfd and pidfd.

Alone, in ten lines (a queue that is suspended while it works)::

    from xsched_bindings.host import Device, HostScheduler
    from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

    with Device("runner.platforms.host.programs:load") as device, device.connect() as session:
        stream = session.open_stream([{"name": "synthetic", "size": 100, "work_us": 1000}])
        scheduler = HostScheduler()
        scheduler.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        with scheduler.create_queue(stream, PreemptLevel.interrupt) as queue:
            stream.submit(stream.programs[0])
            queue.suspend()
            print(queue.count(), "submitted,", stream.completed, "completed")
            queue.resume()
            stream.synchronize()
"""

from xsched_bindings.host.device import Device, DeviceSession
from xsched_bindings.host.queue import HostQueue
from xsched_bindings.host.scheduler import HostScheduler
from xsched_bindings.host.stream import HostStream

__all__ = ["Device", "DeviceSession", "HostQueue", "HostScheduler", "HostStream"]
