"""Latency of requests. Response counts from the scheduled arrival, so that waiting behind an own
earlier request counts; service from the start of the request.

Both have the same figures. Unit: ms. Formulas: a percentile is the smallest latency that at least
that share of the requests do not exceed; the mean is their sum by their number."""

from collections.abc import Callable

from runner.metrics.intervals import Estimate, maximum, mean, quantile
from runner.metrics.registry import Metric, register
from runner.metrics.task import Task, Tasks, Times, pooled

#: Percentiles by name, as the share of the requests that do not exceed them.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
#: What response latency and service time each have.
FIGURES = (*PERCENTILES, "mean", "max")


def response(task: Task) -> Times:
    """Completion - scheduled arrival."""
    return task.response_ms


def service(task: Task) -> Times:
    """Completion - start."""
    return task.service_ms


def _register(prefix: str, latency: str, values_of: Callable[[Task], Times]) -> None:
    """The figures of one kind of latency, as ``<prefix>p50_ms`` and so on."""

    def of(estimate: Callable[[Times], Estimate]) -> Callable[[Tasks], Estimate]:
        return lambda tasks: estimate(pooled(tasks, values_of))

    def at(share: float) -> Callable[[Tasks], Estimate]:
        return of(lambda values: quantile(values, share))

    rule = f"the smallest {latency} that at least {{:g}} % of the requests do not exceed"
    named = [(name, rule.format(100 * share), at(share)) for name, share in PERCENTILES.items()]
    named += [
        ("mean", f"Σ {latency} ÷ requests", of(mean)),
        ("max", f"the largest {latency}", of(maximum)),
    ]
    for name, formula, compute in named:
        register(Metric(f"{prefix}{name}_ms", "ms", formula, False, compute))


_register("", "response latency", response)
_register("service_", "service time", service)
