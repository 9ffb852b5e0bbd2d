"""A model ready to run, and how it gets its weights. Only the functions import torch: families
import this module to say what they offer, which must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models import weights
from models.spec import ModelSpec
from models.weights import State

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Workload:
    """One request is ``module(*inputs[i])``: a forward pass in evaluation mode, one tensor out.

    inputs: alternatives of the same shapes. Requests take them in turn, so that a result which was
    left over from the request before is seen to be wrong. The module is shared by everybody with
    the same specification: read it, never change it."""

    module: nn.Module
    inputs: tuple[tuple[Tensor, ...], ...]


def with_weights(
    make: Callable[[], nn.Module],
    spec: ModelSpec,
    as_ours: Callable[[State], State] = lambda state: state,
) -> nn.Module:
    """The module on the CPU, in the specification's type: with the weights of `spec.pretrained`, or
    random ones.

    as_ours: from a file's names to the module's, where they differ. Raises
    `models.weights.WeightsError`."""
    module = _random_weights(make, spec)  # also makes the buffers that no file has
    if spec.pretrained:
        weights.load(module, spec, as_ours)
    return module


def _random_weights(make: Callable[[], nn.Module], spec: ModelSpec) -> nn.Module:
    """Construct on the meta device, then fill: a quarter of the time of the usual initialisers.

    Weights are uniform and of the scale of trained ones, so that activations stay finite in half
    precision; their values do not change how long an operator takes. Buffers keep what the model's
    own constructor would compute: position indices count up, statistics are those of unit variance.
    """
    import torch

    with torch.device("meta"):
        module = make()
    module = module.to_empty(device="cpu").to(getattr(torch, spec.dtype))
    generator = torch.Generator().manual_seed(spec.seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() > 1:
                bound = min(0.05, parameter[0].numel() ** -0.5)
                parameter.uniform_(-bound, bound, generator=generator)
            else:
                # Biases and shifts 0, scales 1.
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
        for name, buffer in module.named_buffers():
            if name.endswith("position_ids"):
                buffer.copy_(torch.arange(buffer.shape[-1]).expand_as(buffer))
            else:
                buffer.fill_(1 if name.endswith("running_var") else 0)
    return module


def in_turn(
    spec: ModelSpec, make: Callable[[Generator], Tensor]
) -> tuple[tuple[Tensor], tuple[Tensor]]:
    """Two inputs of one tensor each, from generators of the specification's seed and the next."""
    import torch

    first, second = (torch.Generator().manual_seed(spec.seed + i) for i in range(2))
    return (make(first),), (make(second),)


def token_ids(spec: ModelSpec, vocabulary: int) -> tuple[tuple[Tensor], tuple[Tensor]]:
    """Random tokens of shape (batch_size, size), two inputs of them."""
    import torch

    def tokens(generator: Generator) -> Tensor:
        return torch.randint(0, vocabulary, (spec.batch_size, spec.size), generator=generator)

    return in_turn(spec, tokens)
