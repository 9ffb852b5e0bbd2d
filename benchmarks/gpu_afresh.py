"""On a GPU: trials from a warm parent against trials whose process starts afresh, in pairs. Needs
CUDA and XSched; not part of `make bench` without a name."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu_starts import planned
from benchmarks.report import Figure, report
from runner.metrics.paired import paired
from runner.platforms.gpu.platform import GpuPlatform
from runner.trial.run import run_trial
from runner.trial.status import Status

TITLE = "On a GPU, a trial from a warm parent and one started afresh"
PAIRS = 5
TRIAL = ("task_set=urgent_vs_background", "arm=xsched", "~task_set.tasks.background-3")


class _Silent:
    def say(self, text: str) -> None: ...

    def show(self, recording: Any) -> None: ...


def run() -> list[Figure]:
    p50s: dict[str, list[float]] = {"warm": [], "afresh": []}
    seconds: dict[str, list[float]] = {"warm": [], "afresh": []}
    trial, warm = planned(*TRIAL)
    afresh = GpuPlatform("cuda", home=warm._home)
    afresh._cannot_fork = "it is what this is compared with"
    solo: dict[Any, float] = {}
    for number in range(PAIRS + 1):
        for kind in ("warm", "afresh") if number % 2 else ("afresh", "warm"):
            with tempfile.TemporaryDirectory() as folder:
                began = time.monotonic()
                result = run_trial(
                    trial,
                    warm if kind == "warm" else afresh,
                    solo,
                    Path(folder),
                    _Silent(),
                    lambda: None,
                )
                took = time.monotonic() - began
            assert result.status is Status.FINISHED, result.reason
            solo = result.solo
            if number:  # the first pair warms the machine, and the warm parent
                p50s[kind].append(statistics.median(result.requests[0].response_ms))
                seconds[kind].append(took - result.timing_s["window"])
                said = f"p50 {p50s[kind][-1]:.2f} ms, {seconds[kind][-1]:.1f} s beside the window"
                print(f"  {kind}: {said}", flush=True)
    warm.close()
    found = paired(p50s["afresh"], p50s["warm"])
    return [
        Figure(
            f"p50 of the urgent task, warm ÷ afresh, {PAIRS} pairs",
            f"{found.effect:.3f} {found.interval}",
            "no difference shown",
            1.0 in found.interval,
        ),
        report("seconds beside the window, warm", statistics.median(seconds["warm"]), " s"),
        report("seconds beside the window, afresh", statistics.median(seconds["afresh"]), " s"),
    ]
