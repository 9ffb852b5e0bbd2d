"""What XSched in place costs a task that runs alone."""

import time

import numpy as np

from benchmarks import host
from benchmarks.report import Figure, at_least, report
from models import ModelSpec
from xsched_bindings.host import HostStream
from xsched_bindings.types import PreemptLevel

TITLE = "One task alone: throughput, and the cost of a command"
CONFIGS = ((8, 4), (32, 16))
TARGETS = {(8, 4): 0.97, (32, 16): 0.98}
ROUNDS = 40
EMPTY_COMMANDS = 20_000
EMPTY_CONFIGS = ((1, 1), (8, 4), (32, 16))


def run() -> list[Figure]:
    figures = []
    with host.session() as device:
        bert = ModelSpec("bert_base", size=128)
        bare = host.stream(device, bert)
        scheduled = {config: host.stream(device, bert) for config in CONFIGS}
        for config, stream in scheduled.items():
            host.queue(stream, PreemptLevel.block, *config)
        ratios: dict[tuple[int, int], list[float]] = {config: [] for config in CONFIGS}
        for round_ in range(ROUNDS):
            # In turn, so that a drift of the machine's speed hits all alike.
            base = seconds(bare)
            for config, stream in scheduled.items():
                taken = seconds(stream)
                if round_ >= 3:
                    ratios[config].append(base / taken)
        for config in CONFIGS:
            figures.append(
                at_least(
                    f"BERT-base, xsched {config[0]}/{config[1]} ÷ the bare stream over the same "
                    f"commands (median of {len(ratios[config])} pairs)",
                    float(np.median(ratios[config])),
                    TARGETS[config],
                )
            )
        empty = ModelSpec("synthetic", size=EMPTY_COMMANDS, work_us=0)
        for config in EMPTY_CONFIGS:
            stream = host.stream(device, empty)
            host.queue(stream, PreemptLevel.block, *config)
            best = min(seconds(stream) for _ in range(5))
            what = f"an empty command at {config[0]}/{config[1]}"
            figures.append(report(what, best / EMPTY_COMMANDS * 1e6, " µs"))
    return figures


def seconds(stream: HostStream) -> float:
    start = time.perf_counter()
    host.request(stream)
    return time.perf_counter() - start
