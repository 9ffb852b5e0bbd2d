"""Requests completed a second."""

import math

import numpy as np

from runner.metrics.intervals import Estimate, Interval, mean
from runner.metrics.registry import metric
from runner.metrics.task import Tasks


@metric("throughput_rps", higher_is_better=True)
def throughput_rps(tasks: Tasks) -> Estimate:
    """Completions within the window, extra ones included, by its length. The interval is that of
    the mean gap between completions: gaps are what scatters.

    Unit: 1/s
    Formula: Σ completions within the window ÷ window
    """
    rate = sum(task.throughput_rps for task in tasks)
    completed = [task.completed_ms[task.completed_ms <= task.window_ms] for task in tasks]
    gap = mean(np.diff(np.sort(np.concatenate(completed)), prepend=0.0))
    if gap.interval is None or gap.value == 0:
        return Estimate(rate)
    shortest, longest = gap.interval.low, gap.interval.high
    high = rate * gap.value / shortest if shortest > 0 else math.inf
    return Estimate(rate, Interval(rate * gap.value / longest, high, gap.interval.level))
