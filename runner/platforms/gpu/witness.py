"""What the device executed, as the vendor's tracing library saw it: it knows no queues."""

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
    return witnessed([(event.name, event.time_range.elapsed_us() / 1e6) for event in seen])


def witnessed(seen: list[tuple[str, float]]) -> Witnessed:
    """Of names and seconds of all that a device did."""
    commands = (seconds for name, seconds in seen if not name.startswith(NO_COMMANDS))
    return Witnessed(tuple(commands), sum(seconds for _, seconds in seen))
