"""A GPU through PyTorch, CUDA's and ROCm's alike: streams, requests, probes and a witness."""

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor, nn

from models import CATALOG, ModelSpec
from models.build import build
from runner.platforms.contract import Wait
from runner.platforms.gpu import requests, rocm
from runner.platforms.gpu.accelerator import QueueMaker, Stream, Tie, Witnessed, Work
from runner.platforms.gpu.driver import pci_address
from runner.platforms.gpu.graphs import of_graphs
from runner.platforms.gpu.marks import MarkRing
from runner.platforms.gpu.witness import witness
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched

DEVICE = torch.device("cuda", 0)  # the platform makes one GPU visible; ROCm's PyTorch says cuda too

CYCLES = 20_000_000

#: Parts of a request that are marked take that long at the least: closer marks tell little more
#: (`runner.proof.order.LATE_NS`), and cost a request that the host limits 1 % each.
PART_S = 0.002
#: Marks for a tie, of which the quickest counts.
TIES = 20


class TorchStream:
    """A stream, and the marks of its probes. work_ticks: how long a command of a probe takes,
    by the device's clock."""

    def __init__(self, stream: torch.cuda.Stream, work_ticks: int) -> None:
        self.stream = stream
        self._work_ticks = work_ticks
        self.probe = MarkRing(self.pointer)

    @property
    def pointer(self) -> int:
        return int(self.stream.cuda_stream)

    @property
    def priority(self) -> int:
        return int(self.stream.priority)

    def submit_probe(self, commands: int) -> None:
        for _ in range(commands):
            self.probe.mark(self._work_ticks)

    def synchronize(self) -> None:
        self.stream.synchronize()


class TorchDevice:
    """The one visible GPU of this process. platform: cuda or hip. probe_work_us: work of a probe
    command; long against a suspension, which takes some tens of microseconds. pci: where it must
    be, "" if nobody knows. Raises RuntimeError if it is elsewhere."""

    def __init__(self, platform: str, probe_work_us: int = 500, pci: str = "") -> None:
        self._platform, self._probe_work_us = platform, probe_work_us
        torch.cuda.set_device(DEVICE)
        torch.cuda.synchronize()  # the driver answers when it has started
        if pci and (fault := rocm.another_gpu(pci, pci_address())):
            raise RuntimeError(fault)
        torch.set_num_threads(1)
        self.probe_s = probe_work_us / 1e6
        #: For `tie`; it never gets a queue.
        self._own = TorchStream(torch.cuda.Stream(DEVICE), 0)
        begin = self.tie()
        self._cycles_per_us = _cycles_per_us()  # which takes long enough to count ticks meanwhile
        end = self.tie()
        self._ticks_per_us = (end.ticks - begin.ticks) / (end.host_ns - begin.host_ns) * 1e3

    def hints(self, ranks: int) -> list[int]:
        least, greatest = torch.cuda.Stream.priority_range()  # type: ignore[call-arg]  # it is static
        return [min(least, greatest + rank) for rank in range(ranks)]

    def open_stream(self, hint: int | None, default: bool) -> TorchStream:
        if default:
            stream = torch.cuda.default_stream(DEVICE)
        else:
            stream = torch.cuda.Stream(DEVICE, priority=hint or 0)
        return TorchStream(stream, int(self._probe_work_us * self._ticks_per_us))

    def load(self, model: ModelSpec, stream: Stream, in_flight: int = 1) -> Work:
        assert isinstance(stream, TorchStream)
        marks = MarkRing(stream.pointer)
        enqueue, parts = self._enqueue(model, marks)
        on, end = stream.stream, _ends(stream.stream, in_flight)

        def submit() -> Wait:
            with torch.inference_mode(), torch.cuda.stream(on):
                return end(enqueue())

        return Work(submit, marks, parts, computes=not CATALOG[model.name].bare)

    def _enqueue(self, model: ModelSpec, marks: MarkRing) -> tuple[Callable[[], object], int]:
        if CATALOG[model.name].bare:
            cycles = max(1, int(model.work_us * self._cycles_per_us))
            return requests.of_commands(model.size, partial(torch.cuda._sleep, cycles), marks)
        module, inputs, took_s = _on_device(model.operators)
        if model.graphs:
            return of_graphs(module, inputs, model.graphs, marks)
        marked = _mark_parts(module, int(took_s / PART_S))
        return requests.of_module(module, inputs, marks), marked + 1

    def tie(self) -> Tie:
        marks, tries = self._own.probe, []
        for _ in range(TIES):
            before = time.monotonic_ns()
            marks.mark()
            self._own.synchronize()
            after = time.monotonic_ns()
            ticks = int(marks.since(marks.count - 1).ticks[0])
            tries.append((after - before, (before + after) // 2, ticks))
        _, host_ns, ticks = min(tries)
        return Tie(host_ns, ticks)

    def witness(self, request: Callable[[], None], stream: Stream) -> Witnessed:
        def work() -> None:
            request()
            stream.synchronize()

        return witness(work)

    def library(self, folder: str) -> QueueMaker:
        return (CudaXSched if self._platform == "cuda" else HipXSched)(Path(folder))


def _ends(on: torch.cuda.Stream, in_flight: int) -> Callable[[object], Wait]:
    """From a request's result, which lives until then, to what waits for its end. Where others may
    be behind it, of this task or on a stream that several share, its end is an event."""
    if on.cuda_stream and in_flight == 1:
        return lambda result: partial(_wait, on, result)
    events = [torch.cuda.Event(blocking=False) for _ in range(in_flight)]
    for event in events:
        event.record(on)  # which makes it, and none may be made in the window
    turn = cycle(events)

    def end(result: object) -> Wait:
        event = next(turn)
        event.record(on)
        return partial(_wait, event, result)

    return end


def _wait(what: torch.cuda.Stream | torch.cuda.Event, result: object) -> None:
    what.synchronize()


@cache
def _on_device(model: ModelSpec) -> tuple[nn.Module, list[tuple[Tensor, ...]], float]:
    """The model, its inputs, and seconds of a request; shared by all tasks of this process that run
    it."""
    workload = build(model)
    module = workload.module.to(DEVICE)
    inputs = [tuple(tensor.to(DEVICE) for tensor in each) for each in workload.inputs]
    with torch.inference_mode():
        for each in inputs:  # the last one is no longer the library's first
            begin = time.perf_counter()
            module(*each)
            torch.cuda.synchronize()
            took_s = time.perf_counter() - begin
    return module, inputs, took_s


_mark_parts = cache(requests.mark_parts)


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
