"""The worker loop's own cost: arrival, timestamps, recording, with a request of nothing."""

import time
from collections.abc import Callable
from itertools import count

from benchmarks.report import Figure, at_most
from runner.trial.recording import Recording
from runner.trial.worker import StopSignal, run_task

TITLE = "The worker loop's own cost a request"
REQUESTS = 200_000
ROUNDS = 7


def nothing() -> None:
    """The end of a request of zero commands."""


def submit() -> Callable[[], None]:
    return nothing


def run() -> list[Figure]:
    figures = []
    for name, arrivals in (("closed loop", False), ("open loop, arrivals overdue", True)):
        costs = []
        for _ in range(ROUNDS):
            bare = timed(bare_loop)
            costs.append((timed(worker_loop, arrivals) - bare) / REQUESTS * 1e6)
        figures.append(at_most(f"{name}: cost over a bare Python loop", min(costs), 5, " µs"))
    return figures


def timed(loop: Callable[..., None], *arguments: bool) -> float:
    start = time.perf_counter()
    loop(*arguments)
    return time.perf_counter() - start


def bare_loop() -> None:
    for _ in range(REQUESTS):
        submit()()


def worker_loop(open_loop: bool) -> None:
    recording = Recording.create(1)
    stop = StopSignal()
    start_ns = time.monotonic_ns() - 10**12
    arrivals = count(0) if open_loop else None
    run_task(submit, arrivals, REQUESTS, start_ns, recording.writer(0), stop, lambda: False)
    assert recording.progress(0) == (REQUESTS, 0)
    recording.close()
