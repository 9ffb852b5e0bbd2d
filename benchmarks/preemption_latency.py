"""From a suspension at a random moment until the queue is quiet (XSched paper, figure 11)."""

import random
import time

import numpy as np

from benchmarks import host
from benchmarks.report import Figure, at_most, near
from models import ModelSpec
from xsched_bindings.host import DeviceSession, HostQueue, HostStream
from xsched_bindings.types import PreemptLevel

TITLE = "Preemption latency, synthetic commands of fixed work T"
WORK_US = (1000, 2000, 5000)
BLOCK_CONFIGS = ((8, 8), (8, 4), (8, 1))
SUSPENSIONS = 100
COMMANDS = 1000


def run() -> list[Figure]:
    figures, stops = [], {}
    with host.session() as device:
        for work_us in WORK_US:
            model = ModelSpec("synthetic", size=COMMANDS, work_us=work_us)
            ms = work_us // 1000
            for threshold, batch in BLOCK_CONFIGS:
                latencies, command = measure(device, model, PreemptLevel.block, threshold, batch)
                figures.append(
                    near(
                        f"level 1 at {threshold}/{batch}, T = {ms} ms: p50 ÷ (threshold · T)",
                        float(np.median(latencies)) / (threshold * command),
                        1 - batch / (2 * threshold),
                        0.1,
                    )
                )
            latencies, command = measure(device, model, PreemptLevel.deactivate, 8, 4)
            p99 = float(np.percentile(latencies, 99))
            figures.append(at_most(f"level 2, T = {ms} ms: p99 ÷ T", p99 / command, 1.5))
            latencies, _ = measure(device, model, PreemptLevel.interrupt, 8, 4)
            stops[ms] = latencies * 1e3
    for ms, latencies in stops.items():
        p50, p99 = np.percentile(latencies, [50, 99])
        figures.append(at_most(f"level 3, T = {ms} ms: p99 (p50 {p50:.2f} ms)", p99, 1.0, " ms"))
    return figures


def measure(
    device: DeviceSession, model: ModelSpec, level: PreemptLevel, threshold: int, batch: int
) -> tuple[np.ndarray, float]:
    """Latencies in seconds of `SUSPENSIONS` suspensions, and the length of a command in the same
    stretch of time: the machine's speed drifts, so T is what a command took, not what it should."""
    stream = host.stream(device, model)
    queue = host.queue(stream, level, threshold, batch)
    generator = random.Random(0)
    work_s = model.work_us / 1e6
    latencies, commands = [], []
    for _ in range(SUSPENSIONS):
        if stream.completed + 10 * threshold > queue.count():
            stream.submit(stream.programs[0])
        before, since = stream.completed, stream.busy_ns
        time.sleep((2 * threshold + generator.random() * threshold) * work_s)
        done = stream.completed - before
        if done:
            commands.append((stream.busy_ns - since) / done / 1e9)
        latencies.append(suspend(stream, queue, (threshold + 2) * work_s * 2))
        queue.resume()
    queue.suspend()
    stream.close()
    return np.array(latencies), float(np.median(commands))


def suspend(stream: HostStream, queue: HostQueue, wait_s: float) -> float:
    """Suspend; seconds until the last command completed or, at level 3, the executor stopped."""
    start_ns = time.monotonic_ns()
    queue.suspend()
    if queue.level is PreemptLevel.interrupt:
        queue.settled()
        return (time.monotonic_ns() - start_ns) / 1e9
    time.sleep(wait_s)
    return max(0, stream.last_completed_ns - start_ns) / 1e9
