"""On a GPU: what marks cost the throughput of one task and of six, in blocks that alternate. Needs
CUDA and XSched; not part of `make bench` without a name."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.command import ROOT
from benchmarks.marks import alternate, ratio, starter
from benchmarks.report import Figure
from models import ModelSpec
from runner.platforms.gpu.accelerator import Work
from runner.platforms.gpu.platform import GpuPlatform
from xsched_bindings.library import find
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

TITLE = "Marks on a GPU"
#: Batch size, tasks, seconds of a block (many requests), pairs of blocks.
CASES = ((64, 1, 1.0, 12), (64, 6, 2.0, 12), (8, 1, 0.5, 20), (8, 6, 1.0, 12))


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
        request = partial(_request, work)
        request()
        return request

    found, held = [], []
    for batch_size, tasks, block_s, pairs in CASES:
        on = {True: threading.Event(), False: threading.Event()}
        done = [_Done() for _ in range(tasks)]
        for each in done:
            stream = device.open_stream(None, default=False)
            runs = {marks: make(batch_size, marks, stream) for marks in (True, False)}
            queue = plane.create_queue(stream.pointer, PreemptLevel.block)
            queue.set_launch_config(8, 4)
            held.append(queue)
            threading.Thread(target=_loop, args=(each, runs, on), daemon=True).start()
        found.append(alternate(starter(on), partial(_requests, done), block_s, pairs))
    return found


def _request(work: Work) -> None:
    work.submit()()


@dataclass
class _Done:
    """What one task has done. last_s: when it ended. took_s: how long."""

    count: int = 0
    last_s: float = 0.0
    took_s: float = math.inf

    def requests(self) -> float:
        """With the part of the one that is under way, as the one before tells: a block has few."""
        count, last_s, took_s = self.count, self.last_s, self.took_s
        return count + min(1.0, (time.perf_counter() - last_s) / took_s)


def _requests(done: Sequence[_Done]) -> float:
    return sum(each.requests() for each in done)


def _loop(
    done: _Done, runs: dict[bool, Callable[[], None]], on: dict[bool, threading.Event]
) -> None:
    while True:
        marks = next((marks for marks, event in on.items() if event.is_set()), None)
        if marks is None:
            time.sleep(0.001)
            continue
        began_s = time.perf_counter()
        runs[marks]()
        done.last_s = time.perf_counter()
        done.took_s = done.last_s - began_s
        done.count += 1


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])), flush=True)
    os._exit(0)  # the loops are at work
