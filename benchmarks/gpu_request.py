"""On a GPU: what the worker adds to a request, against a bare loop of the same calls. Needs CUDA or
ROCm; not part of `make bench` without a name."""

import statistics
import time
from collections.abc import Callable

from benchmarks.report import Figure, at_most
from models import ModelSpec
from runner.platforms.contract import Wait
from runner.trial.recording import Recording
from runner.trial.worker import StopSignal, run_task

TITLE = "On a GPU, the runner's own cost per request of 10 ms"
REQUESTS = 60
ROUNDS = 9
#: A hundred commands of 100 µs.
TEN_MS = ModelSpec("synthetic", size=100, work_us=100)


def run() -> list[Figure]:
    from runner.platforms.gpu.torch_device import TorchDevice

    device = TorchDevice("cuda")
    stream = device.open_stream(None, default=False)
    submit = device.load(TEN_MS, stream).submit
    submit()()
    # Paired and alternating, so that a drift of the clock hits both.
    ratios = [worker_loop(submit) / bare_loop(submit) for _ in range(ROUNDS)]
    percent = (statistics.median(ratios) - 1) * 100
    return [at_most("cost over the bare loop", percent, 1.0, " %")]


def bare_loop(submit: Callable[[], Wait]) -> float:
    start = time.perf_counter()
    for _ in range(REQUESTS):
        submit()()
    return time.perf_counter() - start


def worker_loop(submit: Callable[[], Wait]) -> float:
    recording, stop = Recording.create(1), StopSignal()
    start = time.perf_counter()
    run_task(submit, None, REQUESTS, time.monotonic_ns(), recording.writer(0), stop, lambda: False)
    elapsed = time.perf_counter() - start
    recording.close()
    return elapsed
