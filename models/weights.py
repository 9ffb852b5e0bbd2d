"""Weights from local files: which files they are, what identifies them, how a module takes them.

Never the network. torch and safetensors are imported by the functions that read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".bin")
#: What a folder of Hugging Face's keeps them in, by precedence; an index names several files.
IN_A_FOLDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
#: Of what does not fit, so much is named.
NAMED = 3

State = dict[str, "Tensor"]


class WeightsError(RuntimeError):
    """Weights that are not there, are none, or are not this model's."""


def digest(path: Path) -> str:
    """SHA-256 of the weights in a file or folder, hexadecimal; a file's is what sha256sum says of
    it, and of several it is that of all of them in a row. Reads what has changed since it was last
    asked. Raises `WeightsError`."""
    try:
        return _digest(tuple((each, each.stat().st_mtime_ns) for each in files(path)))
    except OSError as error:
        raise WeightsError(f"cannot be read: {error.strerror}") from error


@cache
def _digest(stamped: tuple[tuple[Path, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _ in stamped:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: total)
    return total.hexdigest()


def files(path: Path) -> list[Path]:
    """The files that hold the weights of a file or a folder. Raises `WeightsError`."""
    if not path.is_dir():
        if not path.exists():
            raise WeightsError("is not there")
        if path.suffix not in SUFFIXES:
            raise WeightsError("is no file of weights")
        return [path]
    found = next((path / name for name in IN_A_FOLDER if (path / name).is_file()), None)
    if found is None:
        raise WeightsError("has no weights in it")
    return _shards(found) if found.suffix == ".json" else [found]


def _shards(index: Path) -> list[Path]:
    try:
        names = {str(name) for name in json.loads(index.read_text())["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"has an index that is none: {index.name}") from error
    shards = [index.parent / name for name in sorted(names)]
    if absent := [shard.name for shard in shards if not shard.is_file()]:
        raise WeightsError(f"lacks what its index names: {_first(absent)}")
    return shards


def load(module: nn.Module, spec: ModelSpec, as_ours: Callable[[State], State]) -> None:
    """Put the weights at `spec.pretrained` into the module, in the module's own type.

    as_ours: from the file's names to the module's, leaving out what the model does without. Raises
    `WeightsError` if they are not those that the specification means or do not fit."""
    path = Path(spec.pretrained)
    try:
        if digest(path) != spec.weights_sha256:
            raise WeightsError("has changed since the sweep began")
        state: State = {}
        for file in files(path):
            state |= _read(file)
        # Not strict, for then all names that are missing would be in the message; versions of
        # torchvision's layers bring old names up to date here.
        missing, unexpected = module.load_state_dict(as_ours(state), strict=False)
        wrong = [f"{name} is missing" for name in missing]
        wrong += [f"{name} is not a name of the model's" for name in unexpected]
    except WeightsError as error:
        raise WeightsError(f"model.pretrained={path}: {error}") from error
    except RuntimeError as error:  # of torch: a heading, then a line for each tensor's shape
        wrong = [line.strip(" \t.") for line in str(error).splitlines()[1:]] or [str(error)]
    if wrong:
        what = f"does not fit {spec.name} of size {spec.size}: {_first(wrong)}"
        raise WeightsError(f"model.pretrained={path}: {what}")


def _read(file: Path) -> State:
    """The tensors of one file on the CPU, by name."""
    import torch

    state: Any
    try:
        if file.suffix == SAFETENSORS:
            from safetensors.torch import load_file

            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # any of safetensors', pickle's and zip's
        says = str(error).partition("\n")[0]
        raise WeightsError(f"{file.name} cannot be read as weights: {says}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{file.name} is no state dict: it holds a {type(state).__name__}")
    if other := [str(name) for name, value in state.items() if not torch.is_tensor(value)]:
        raise WeightsError(f"{file.name} is no state dict: not tensors are {_first(other)}")
    return dict(state)


def _first(names: list[str]) -> str:
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more} more" if more > 0 else "")
