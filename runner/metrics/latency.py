"""Latency of requests. Response counts from the scheduled arrival, so that waiting behind an own
earlier request counts; service from the start of the request."""

from runner.intervals import Estimate, maximum, mean, quantile
from runner.metrics.registry import metric
from runner.metrics.task import Task, Tasks, Times, pooled


def response(task: Task) -> Times:
    """Completion - scheduled arrival."""
    return task.response_ms


def service(task: Task) -> Times:
    """Completion - start."""
    return task.service_ms


@metric("p50_ms", higher_is_better=False)
def p50_ms(tasks: Tasks) -> Estimate:
    """Median of the response latency.

    Unit: ms
    Formula: the smallest response latency that at least 50 % of the requests do not exceed
    """
    return quantile(pooled(tasks, response), 0.5)


@metric("p90_ms", higher_is_better=False)
def p90_ms(tasks: Tasks) -> Estimate:
    """90th percentile of the response latency.

    Unit: ms
    Formula: the smallest response latency that at least 90 % of the requests do not exceed
    """
    return quantile(pooled(tasks, response), 0.9)


@metric("p95_ms", higher_is_better=False)
def p95_ms(tasks: Tasks) -> Estimate:
    """95th percentile of the response latency.

    Unit: ms
    Formula: the smallest response latency that at least 95 % of the requests do not exceed
    """
    return quantile(pooled(tasks, response), 0.95)


@metric("p99_ms", higher_is_better=False)
def p99_ms(tasks: Tasks) -> Estimate:
    """99th percentile of the response latency.

    Unit: ms
    Formula: the smallest response latency that at least 99 % of the requests do not exceed
    """
    return quantile(pooled(tasks, response), 0.99)


@metric("p99.9_ms", higher_is_better=False)
def p99_9_ms(tasks: Tasks) -> Estimate:
    """99.9th percentile of the response latency.

    Unit: ms
    Formula: the smallest response latency that at least 99.9 % of the requests do not exceed
    """
    return quantile(pooled(tasks, response), 0.999)


@metric("mean_ms", higher_is_better=False)
def mean_ms(tasks: Tasks) -> Estimate:
    """Mean response latency.

    Unit: ms
    Formula: Σ response latency ÷ requests
    """
    return mean(pooled(tasks, response))


@metric("max_ms", higher_is_better=False)
def max_ms(tasks: Tasks) -> Estimate:
    """Largest response latency.

    Unit: ms
    Formula: max response latency
    """
    return maximum(pooled(tasks, response))


@metric("service_p50_ms", higher_is_better=False)
def service_p50_ms(tasks: Tasks) -> Estimate:
    """Median of the service time.

    Unit: ms
    Formula: the smallest service time that at least 50 % of the requests do not exceed
    """
    return quantile(pooled(tasks, service), 0.5)


@metric("service_p99_ms", higher_is_better=False)
def service_p99_ms(tasks: Tasks) -> Estimate:
    """99th percentile of the service time.

    Unit: ms
    Formula: the smallest service time that at least 99 % of the requests do not exceed
    """
    return quantile(pooled(tasks, service), 0.99)


@metric("service_mean_ms", higher_is_better=False)
def service_mean_ms(tasks: Tasks) -> Estimate:
    """Mean service time.

    Unit: ms
    Formula: Σ service time ÷ requests
    """
    return mean(pooled(tasks, service))
