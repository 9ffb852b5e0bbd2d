"""What the device got done, and what was counted of a run as a whole."""

import math

import numpy as np

from runner.metrics.intervals import Estimate, Interval, mean
from runner.metrics.measurement import Measurement
from runner.metrics.registry import About, metric
from runner.metrics.task import Tasks


@metric("throughput_rps", "1/s", "Σ completions within the window ÷ window", higher_is_better=True)
def throughput_rps(tasks: Tasks) -> Estimate:
    """Completions within the window, extra ones included, by its length. The interval is that of
    the mean gap between completions: gaps are what scatters."""
    rate = sum(task.throughput_rps for task in tasks)
    completed = [task.completed_ms[task.completed_ms <= task.window_ms] for task in tasks]
    begin_ms = min(task.busy_ms for task in tasks)
    gap = mean(np.diff(np.sort(np.concatenate(completed)), prepend=begin_ms))
    if gap.interval is None or gap.value == 0:
        return Estimate(rate)
    shortest, longest = gap.interval.low, gap.interval.high
    high = rate * gap.value / shortest if shortest > 0 else math.inf
    return Estimate(rate, Interval(rate * gap.value / longest, high, gap.interval.level))


def _counted(
    tag: str, unit: str, formula: str, higher_is_better: bool | None, by_ratio: bool = False
) -> None:
    """What the `Measurement` says under the metric's tag."""

    @metric(
        tag,
        unit,
        formula,
        higher_is_better=higher_is_better,
        by_ratio=by_ratio,
        about=About.RUN,
    )
    def compute(run: Measurement) -> Estimate | None:
        value = getattr(run, tag)
        return None if value is None else Estimate(float(value))


_counted("preemptions", "preemptions", "requests that were stopped and went on", None)
_counted(
    "against_policy",
    "share",
    "Σ time that tasks went on for though the policy holds them back ÷ Σ time that it does",
    False,
)
_counted("saturation", "share", "time that the device was at work ÷ window", True)
_counted(
    "stolen", "share", "time stolen by a hypervisor of the core that lost most ÷ window", False
)
_counted(
    "pace_us", "µs", "mean CPU time of the platform's fixed work, trimmed", None, by_ratio=True
)
