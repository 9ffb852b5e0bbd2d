"""How long a queue takes to be quiet once it is suspended."""

import numpy as np

from runner.metrics.intervals import Estimate, quantile
from runner.metrics.registry import metric
from runner.metrics.task import Tasks

#: A run that proves its level suspends each queue a few times, which is no measurement of this;
#: ``xsched.probes`` says how often.
MIN_SUSPENSIONS = 20


@metric("preemption_p50_ms", higher_is_better=False)
def preemption_p50_ms(tasks: Tasks) -> Estimate | None:
    """Median preemption latency (XSched paper, figure 11).

    Unit: ms
    Formula: p50 of the time from a suspension to the queue's quiet, of 20 suspensions or more
    """
    return _quantile(tasks, 0.5)


@metric("preemption_p99_ms", higher_is_better=False)
def preemption_p99_ms(tasks: Tasks) -> Estimate | None:
    """99th percentile of the preemption latency (XSched paper, figure 11).

    Unit: ms
    Formula: p99 of the time from a suspension to the queue's quiet, of 20 suspensions or more
    """
    return _quantile(tasks, 0.99)


def _quantile(tasks: Tasks, share: float) -> Estimate | None:
    times = np.concatenate([task.preemption_ms for task in tasks])
    return quantile(times, share) if len(times) >= MIN_SUSPENSIONS else None
