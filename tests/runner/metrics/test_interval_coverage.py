"""How often 95 % intervals hold the true value, over many draws from known distributions: between
93 and 98.5 % of the time."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.metrics import METRICS, intervals
from runner.metrics.intervals import Estimate
from tests.runner.metrics.made import task
from tests.runner.metrics.test_intervals import autoregression

Series = NDArray[np.float64]

LOW, HIGH = 0.93, 0.985
DRAWS = 1500
REQUESTS = 1000
NORMAL = NormalDist()


def coverage(draws: Series, true: float, estimate: Callable[[Series], Estimate]) -> float:
    """Share of the draws whose interval holds the true value; one draw a row."""
    found = [estimate(draw).interval for draw in draws]
    return sum(interval is not None and true in interval for interval in found) / len(found)


def quantile(share: float) -> Callable[[Series], Estimate]:
    return lambda values: intervals.quantile(values, share)


# ------------------------------------------------------------------------- within one run


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
def test_quantiles_of_independent_requests(share: float) -> None:
    draws = np.random.default_rng(11).exponential(size=(DRAWS, REQUESTS))
    assert LOW <= coverage(draws, -np.log(1 - share), quantile(share)) <= HIGH


def test_the_p99_of_few_requests_has_a_lower_end_alone() -> None:
    draws = np.random.default_rng(12).exponential(size=(DRAWS, 100))
    # The missing upper end cannot miss.
    assert coverage(draws, -np.log(0.01), quantile(0.99)) >= 1 - 0.025 - 0.005


#: φ = 0.8 and 0.96 have the correlation times of real runs: 9 (the median) and 48 (the longest).
@pytest.mark.parametrize("phi", [0.3, 0.5, 0.7, 0.8, 0.96])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_quantiles_of_autocorrelated_requests(share: float, phi: float) -> None:
    """Fails if requests are taken as independent."""
    draws = autoregression(np.random.default_rng(13), phi, DRAWS, REQUESTS)
    assert LOW <= coverage(draws, NORMAL.inv_cdf(share), quantile(share)) <= HIGH


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.5, 0.7])
def test_the_mean_of_autocorrelated_requests(phi: float) -> None:
    draws = autoregression(np.random.default_rng(14), phi, DRAWS, REQUESTS)
    assert LOW <= coverage(draws, 0.0, intervals.mean) <= HIGH


def test_the_mean_of_skewed_requests() -> None:
    draws = np.exp(autoregression(np.random.default_rng(15), 0.5, DRAWS, REQUESTS) / 2)
    assert LOW <= coverage(draws, np.exp(1 / 8), intervals.mean) <= HIGH


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_quantiles_of_requests_that_queue(share: float) -> None:
    """A server that is busy half of the time: what is late makes the next ones late."""
    rng = np.random.default_rng(16)
    true = float(np.quantile(queue(rng, 4000), share))
    assert LOW <= coverage(queue(rng, DRAWS), true, quantile(share)) <= HIGH


def queue(rng: np.random.Generator, draws: int, load: float = 0.5) -> Series:
    """Response times by Lindley's recursion, after a settling time."""
    settle, waiting = 200, np.zeros(draws)
    served = rng.exponential(1.0, (settle + REQUESTS, draws))
    gaps = rng.exponential(1 / load, (settle + REQUESTS, draws))
    response = np.empty((REQUESTS, draws))
    for at in range(settle + REQUESTS):
        if at >= settle:
            response[at - settle] = waiting + served[at]
        waiting = np.maximum(0, waiting + served[at] - gaps[at])
    return response.T


def test_a_proportion_of_requests() -> None:
    draws = np.random.default_rng(17).random((DRAWS, REQUESTS)) < 0.9
    assert LOW <= coverage(draws.astype(np.float64), 0.9, intervals.proportion) <= HIGH


def test_throughput_of_a_closed_loop() -> None:
    draws = np.random.default_rng(23).gamma(4, 2.5, (DRAWS, 300))
    assert LOW <= coverage(draws, 100.0, throughput) <= HIGH


def throughput(response_ms: Series) -> Estimate:
    found = METRICS["throughput_rps"]([task(response_ms)])
    assert found is not None
    return found
