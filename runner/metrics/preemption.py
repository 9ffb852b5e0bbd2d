"""Preemption latency: how long a queue takes to be quiet once it is suspended (XSched paper, figure
11)."""

import numpy as np

from runner.metrics.intervals import Estimate, quantile
from runner.metrics.registry import Metric, register
from runner.metrics.task import Tasks

#: A run that proves its level suspends each queue a few times, which is no measurement of this;
#: ``xsched.probes`` says how often.
MIN_SUSPENSIONS = 20


def _register(name: str, share: float) -> None:
    formula = f"{name} of the time from a suspension to the queue's quiet, of 20 or more"

    def compute(tasks: Tasks) -> Estimate | None:
        times = np.concatenate([task.preemption_ms for task in tasks])
        return quantile(times, share) if len(times) >= MIN_SUSPENSIONS else None

    register(Metric(f"preemption_{name}_ms", "ms", formula, False, compute))


for _name, _share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
    _register(_name, _share)
