"""A GPU through PyTorch, CUDA's and ROCm's alike: streams, requests, probes and a witness."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import CATALOG, ModelSpec
from models.build import build
from runner.platforms.gpu.accelerator import QueueMaker, Stream
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched

DEVICE = torch.device("cuda", 0)  # the platform makes one GPU visible; ROCm's PyTorch says cuda too

CYCLES = 20_000_000


class _MappedCounter:
    """An integer in page-locked host memory that kernels add to and the host reads directly: it
    can be read while the stream, or the whole context, is suspended."""

    def __init__(self) -> None:
        self._host = torch.zeros(1, dtype=torch.int64, pin_memory=True)
        self._view = self._host.numpy()
        self.on_device: Tensor = torch.as_tensor(self, device=DEVICE)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        # Unified addressing gives page-locked memory the same address on host and device.
        return {
            "shape": (1,),
            "typestr": "<i8",
            "data": (self._host.data_ptr(), False),
            "version": 3,
        }

    @property
    def value(self) -> int:
        return int(self._view[0])


class TorchStream:
    """A stream, and the probe's counter for it."""

    def __init__(self, stream: torch.cuda.Stream, sleep_cycles: int) -> None:
        self.stream = stream
        self._sleep_cycles = sleep_cycles
        self._counter = _MappedCounter()
        # One stream may serve several tasks, and each waits for its own requests.
        self.completion = torch.cuda.Event(blocking=False)

    @property
    def pointer(self) -> int:
        return int(self.stream.cuda_stream)

    @property
    def priority(self) -> int:
        return int(self.stream.priority)

    def submit_probe(self, units: int) -> None:
        with torch.inference_mode(), torch.cuda.stream(self.stream):
            for _ in range(units):
                torch.cuda._sleep(self._sleep_cycles)
                self._counter.on_device.add_(1)

    @property
    def probe_units(self) -> int:
        return self._counter.value

    def synchronize(self) -> None:
        self.stream.synchronize()


class TorchDevice:
    """The one visible GPU of this process. platform: cuda or hip. probe_work_us: work of a probe
    command; long against a suspension, which takes some tens of microseconds."""

    def __init__(self, platform: str, probe_work_us: int = 500) -> None:
        self._platform, self._probe_work_us = platform, probe_work_us
        torch.cuda.set_device(DEVICE)
        torch.set_num_threads(1)
        self._cycles_per_us = _cycles_per_us()
        self.unit_s = probe_work_us / 1e6

    def hints(self, ranks: int) -> list[int]:
        # PyTorch's annotation lacks that it is static.
        least, greatest = torch.cuda.Stream.priority_range()  # type: ignore[call-arg]
        return [min(least, greatest + rank) for rank in range(ranks)]

    def open_stream(self, hint: int | None, default: bool) -> TorchStream:
        if default:
            stream = torch.cuda.default_stream(DEVICE)
        else:
            stream = torch.cuda.Stream(DEVICE, priority=hint or 0)
        return TorchStream(stream, int(self._probe_work_us * self._cycles_per_us))

    def load(self, model: ModelSpec, stream: Stream) -> Callable[[], None]:
        assert isinstance(stream, TorchStream)
        run = self._forward(model)
        on, done = stream.stream, stream.completion
        if stream.pointer == 0:

            def request() -> None:
                with torch.inference_mode():
                    run()
                    done.record(on)
                    done.synchronize()

        else:

            def request() -> None:
                with torch.inference_mode(), torch.cuda.stream(on):
                    run()
                    on.synchronize()

        return request

    def _forward(self, model: ModelSpec) -> Callable[[], object]:
        if CATALOG[model.name].bare:
            cycles = max(1, int(model.work_us * self._cycles_per_us))
            sleep, commands = torch.cuda._sleep, range(model.size)

            def run() -> None:
                for _ in commands:
                    sleep(cycles)

            return run
        module, inputs = _on_device(model)
        return lambda: module(*inputs)

    def witness(self, request: Callable[[], None], stream: Stream) -> tuple[int, float]:
        """As the vendor's tracing library saw it on the device. Copies and fills are not counted:
        XSched queues only some of them."""
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as trace:
            request()
            stream.synchronize()
        seen = [e for e in trace.events() or () if e.device_type.name == "CUDA"]
        kernels = sum(not event.name.startswith(("Mem", "Copy")) for event in seen)
        return kernels, sum(event.time_range.elapsed_us() for event in seen) / 1e6

    def library(self, folder: str) -> QueueMaker:
        return (CudaXSched if self._platform == "cuda" else HipXSched)(Path(folder))


@cache
def _on_device(model: ModelSpec) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The model and its inputs, shared by all tasks of this process that run it."""
    workload = build(model)
    return workload.module.to(DEVICE), tuple(tensor.to(DEVICE) for tensor in workload.inputs)


def _cycles_per_us() -> float:
    """How fast the device counts the cycles of `torch.cuda._sleep`, the median of five."""
    rates = []
    for _ in range(5):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        torch.cuda._sleep(CYCLES)
        end.record()
        end.synchronize()
        rates.append(CYCLES / (begin.elapsed_time(end) * 1e3))
    return float(sorted(rates)[2])
