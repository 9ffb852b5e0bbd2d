"""One number that tells a request's result from others.

The sum of all values, each by a weight of 1 to 2 that depends on its place: float64, so that it is
the same where the result is the same bit for bit, and near it where the result is near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: The weight of value i is 1 + (i · MULTIPLIER mod STEPS) ÷ STEPS. Knuth's multiplier spreads them.
MULTIPLIER, STEPS = 2_654_435_761, 1 << 16


def weights(values: int) -> Tensor:
    """Those of a result of so many values, float64 of shape (values,)."""
    import torch

    return 1 + (torch.arange(values) * MULTIPLIER % STEPS).double() / STEPS


def fingerprint(result: Tensor, by: Tensor) -> float:
    """by: the weights of its values."""
    return float(result.flatten().double() @ by)
