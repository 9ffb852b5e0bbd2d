from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.arrivals import endless, jitter

gaps = st.floats(1e3, 1e10)
seeds = st.integers(0, 2**31 - 1)


@given(gaps, seeds)
def test_gaps_are_uniform_between_half_and_one_and_a_half(mean: float, seed: int) -> None:
    times = jitter(mean, seed, "task")
    steps = np.diff(times, prepend=0)
    assert (steps >= mean / 2 - 1).all()
    assert (steps <= 1.5 * mean + 1).all()
    assert steps.mean() == pytest.approx(mean, rel=0.03)


@given(gaps, seeds)
def test_a_seed_gives_one_schedule_and_tasks_differ(mean: float, seed: int) -> None:
    assert (jitter(mean, seed, "a") == jitter(mean, seed, "a")).all()
    assert (jitter(mean, seed, "a") != jitter(mean, seed, "b")).any()
    assert (jitter(mean, seed, "a") != jitter(mean, seed + 1, "a")).any()


def test_the_schedule_scales_with_the_mean_gap() -> None:
    assert jitter(2e6, 7, "a") == pytest.approx(2 * jitter(1e6, 7, "a"), abs=5000)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_a_schedule_that_is_used_up_begins_anew_and_never_goes_back(steps: list[int]) -> None:
    schedule = np.cumsum(steps)
    times = list(islice(endless(schedule), 5 * len(steps)))
    assert times[: len(steps)] == schedule.tolist()
    assert [b - a for a, b in pairwise([0, *times])] == steps * 5
