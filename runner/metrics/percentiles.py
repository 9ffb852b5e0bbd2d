"""Percentiles are measured values, never interpolated: the one rule that all of them follow."""

import math

import numpy as np
from numpy.typing import ArrayLike


def rank(count: int, share: float) -> int:
    """Rank, from 1, of the smallest of `count` values that at least `share` of them do not exceed;
    a product like 0.07 · 100 may be above the whole number that it means."""
    return max(1, math.ceil(count * share - 1e-9))


def percentiles(values: ArrayLike, *percents: float) -> list[float]:
    """Each the smallest value that at least so many percent of the values do not exceed."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return [float(ordered[rank(len(ordered), percent / 100) - 1]) for percent in percents]
