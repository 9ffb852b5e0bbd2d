"""The names, sizes and limits of all models, known without importing torch."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ModelInfo:
    """What a configuration may ask of a model.

    size_unit: what `size` counts. default_size, smallest, largest: its default and range.
    """

    family: str
    size_unit: str
    default_size: int
    smallest: int
    largest: int


def _bert(name: str) -> tuple[str, ModelInfo]:
    return name, ModelInfo("bert", "tokens", 128, 1, 512)


def _vision(name: str, smallest: int = 32, largest: int = 1024) -> tuple[str, ModelInfo]:
    return name, ModelInfo("vision", "pixels", 224, smallest, largest)


CATALOG: dict[str, ModelInfo] = dict(
    [
        _bert("bert_base"),
        _bert("bert_large"),
        _bert("bert_mini"),
        _vision("resnet18"),
        _vision("resnet50"),
        _vision("resnet152"),
        _vision("mobilenet"),
        # The position embedding fixes ViT's image size.
        _vision("vit_b_16", 224, 224),
        ("gpt2", ModelInfo("gpt2", "tokens", 128, 1, 1024)),
        ("synthetic", ModelInfo("synthetic", "commands", 100, 0, 100_000)),
    ]
)

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class ModelSpec:
    """A model as a request runs it; equal specifications are the same model.

    name: a key of `CATALOG`. batch_size: inputs a request. size: sequence length, image edge or
    number of commands, in the model's own unit. dtype: one of `DTYPES`. seed: of the random
    weights. work_us: work of one command in microseconds, synthetic only.
    """

    name: str
    batch_size: int = 1
    size: int = 0
    dtype: str = "float32"
    seed: int = 0
    work_us: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
