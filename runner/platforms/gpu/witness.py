"""What the device executed, as the vendor's tracing library saw it: it knows no queues."""

from collections import defaultdict
from collections.abc import Callable

from runner.platforms.gpu.accelerator import Witnessed

#: How the names begin of what is no command, for XSched queues only some of it: copies and fills,
#: on AMD also where the runtime does them by kernels of its own (``__amd_rocclr_copyBuffer``).
NO_COMMANDS = ("Mem", "Copy", "__amd_rocclr_")


def witness(work: Callable[[], object]) -> Witnessed:
    """What the device executes during `work`, which returns when that has completed."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as trace:
        work()
    seen = [e for e in trace.events() or () if e.device_type.name == "CUDA"]
    return witnessed([(e.id, e.name, e.time_range.elapsed_us() / 1e6) for e in seen])


def witnessed(seen: list[tuple[int, str, float]]) -> Witnessed:
    """Of all that a device did: the call that launched it, its name and its seconds. A graph is one
    command, of which the calls' numbers tell."""
    commands: dict[int, float] = defaultdict(float)
    for call, name, seconds in seen:
        if not name.startswith(NO_COMMANDS):
            commands[call] += seconds
    return Witnessed(tuple(commands.values()), sum(seconds for *_, seconds in seen))
