"""Times of requests. Response latency counts from the scheduled arrival, so that waiting behind an
own earlier request counts; service time from the start of the request. A percentile is the smallest
value that at least that share of the values do not exceed."""

from collections.abc import Callable
from functools import partial

import numpy as np

from runner.metrics.intervals import Estimate, maximum, mean, proportion, quantile
from runner.metrics.registry import About, metric
from runner.metrics.task import Task, Tasks, Times, pooled

#: Percentiles by name, as the share of the requests that do not exceed them.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
#: What response latency and service time each have.
FIGURES = (*PERCENTILES, "mean", "max")
#: A run that proves its level suspends each queue a few times, which is no measurement of how long
#: that takes; ``xsched.probes`` says how often.
MIN_SUSPENSIONS = 20


def response(task: Task) -> Times:
    """Completion - scheduled arrival."""
    return task.response_ms


def met(task: Task) -> Times:
    """1 for a request within the deadline, else 0."""
    return np.where(task.response_ms <= (task.deadline_ms or 0.0), 1.0, 0.0)


def slowdown(task: Task) -> Times:
    """Of every request, against one with nobody beside it."""
    return task.response_ms / task.solo_ms


@metric(
    "slo_attainment",
    "share",
    "requests with response latency ≤ deadline ÷ requests",
    higher_is_better=True,
    by_ratio=False,
    about=About.REQUESTS,
    needs="deadline_us",
)
def slo_attainment(tasks: Tasks) -> Estimate | None:
    """Share of the requests that meet the deadline of their task; only where all have one."""
    if any(task.deadline_ms is None for task in tasks):
        return None
    return proportion(pooled(tasks, met))


def _latency(prefix: str, latency: str, values_of: Callable[[Task], Times]) -> None:
    """The figures of one kind of latency, as ``<prefix>p50_ms`` and so on."""

    def put(name: str, formula: str, estimate: Callable[[Times], Estimate]) -> None:
        figure = metric(
            f"{prefix}{name}_ms", "ms", formula, higher_is_better=False, about=About.REQUESTS
        )
        figure(lambda tasks: estimate(pooled(tasks, values_of)))

    for name, share in PERCENTILES.items():
        rule = f"the smallest {latency} that at least {100 * share:g} % of the requests"
        put(name, f"{rule} do not exceed", partial(quantile, share=share))
    put("mean", f"Σ {latency} ÷ requests", mean)
    put("max", f"the largest {latency}", maximum)


_latency("", "response latency", response)
_latency("service_", "service time", lambda task: task.service_ms)


def _preemption(name: str, share: float) -> None:
    """How long a queue takes to be quiet once it is suspended (XSched paper, figure 11)."""
    formula = f"{name} of the time from a suspension to the queue's quiet, of 20 or more"

    @metric(f"preemption_{name}_ms", "ms", formula, higher_is_better=False)
    def compute(tasks: Tasks) -> Estimate | None:
        times = np.concatenate([task.preemption_ms for task in tasks])
        return quantile(times, share) if len(times) >= MIN_SUSPENSIONS else None


def _slowdown(name: str, share: float) -> None:
    """How much longer requests take than with nobody beside them."""
    formula = f"{name} of (response latency ÷ the task's solo time)"

    @metric(f"slowdown_{name}", "ratio", formula, higher_is_better=False, about=About.REQUESTS)
    def compute(tasks: Tasks) -> Estimate | None:
        known = all(task.solo_ms > 0 for task in tasks)
        return quantile(pooled(tasks, slowdown), share) if known else None


for _name in ("p50", "p90", "p99"):
    _preemption(_name, PERCENTILES[_name])
for _name in ("p50", "p99"):
    _slowdown(_name, PERCENTILES[_name])
