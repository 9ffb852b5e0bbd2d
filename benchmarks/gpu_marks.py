"""On a GPU: what marks cost the throughput of one task and of six, in blocks that alternate. Needs
CUDA and XSched; not part of `make bench` without a name."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.command import ROOT
from benchmarks.marks import alternate, ratio, starter
from benchmarks.report import Figure
from models import ModelSpec
from runner.platforms.gpu.platform import GpuPlatform
from xsched_bindings.library import find
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

TITLE = "Marks on a GPU"
#: Batch size, tasks, seconds of a block (many requests), pairs of blocks.
CASES = ((64, 1, 1.0, 10), (64, 6, 3.0, 6), (8, 1, 0.5, 20), (8, 6, 1.0, 10))


def run() -> list[Figure]:
    platform = GpuPlatform("cuda")
    command = [sys.executable, "-m", "benchmarks.gpu_marks", str(find(None))]
    done = subprocess.run(
        command, cwd=ROOT, env=platform.environment(xsched=True), capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    return [
        ratio(f"BERT-base, batch {batch_size}, under XSched 8/4, throughput of {tasks}", ratios)
        for (batch_size, tasks, _, _), ratios in zip(CASES, found, strict=True)
    ]


def measure(library: str) -> list[list[float]]:
    """In a process with XSched's shim in place: by case, ratios of neighbouring blocks."""
    from runner.platforms.gpu import requests
    from runner.platforms.gpu.torch_device import TorchDevice

    device = TorchDevice("cuda")
    plane = device.library(library)
    plane.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
    mark_parts = requests.mark_parts

    def make(batch_size: int, marks: bool, stream: Any) -> Callable[[], None]:
        """Without marks it is another module, that of the next seed."""
        model = ModelSpec("bert_base", batch_size, 128, seed=0 if marks else 1)
        requests.mark_parts = mark_parts if marks else lambda module, most: 0
        work = device.load(model, stream)
        if not marks:
            work.marks.mark = work.marks.mark_result = lambda *_: None  # type: ignore[attr-defined]  # the device's own ring
        work.run()
        return work.run

    found, held = [], []
    for batch_size, tasks, block_s, pairs in CASES:
        on = {True: threading.Event(), False: threading.Event()}
        counts = [0] * tasks
        for task in range(tasks):
            stream = device.open_stream(None, default=False)
            runs = {marks: make(batch_size, marks, stream) for marks in (True, False)}
            queue = plane.create_queue(stream.pointer, PreemptLevel.block)
            queue.set_launch_config(8, 4)
            held.append(queue)
            loop = threading.Thread(target=_loop, args=(task, counts, runs, on), daemon=True)
            loop.start()
        found.append(alternate(starter(on), _Sum(counts), block_s, pairs))
    return found


@dataclass(frozen=True)
class _Sum:
    """Of what the tasks have done."""

    counts: list[int]

    def __call__(self) -> float:
        return float(sum(self.counts))


def _loop(
    task: int,
    counts: list[int],
    runs: dict[bool, Callable[[], None]],
    on: dict[bool, threading.Event],
) -> None:
    while True:
        marks = next((marks for marks, event in on.items() if event.is_set()), None)
        if marks is None:
            time.sleep(0.001)
            continue
        runs[marks]()
        counts[task] += 1


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])), flush=True)
    os._exit(0)  # the loops are at work
