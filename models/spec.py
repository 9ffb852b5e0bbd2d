"""What can be said of a model without torch: what it offers, and which one a request runs."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class ModelInfo:
    """What a configuration may ask of a model.

    size_unit: what `size` counts. default_size, smallest, largest: its default and range. bare:
    whether it is made of bare commands of a set work, without a module that could have weights."""

    size_unit: str
    default_size: int
    smallest: int
    largest: int
    bare: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """A model as a request runs it; equal specifications are the same model.

    name: a key of `models.CATALOG`. batch_size: inputs a request. size: sequence length, image edge
    or number of commands, in the model's own unit. dtype: one of `DTYPES`. seed: of the inputs and
    random weights. work_us: work of one command in microseconds, bare ones only. weights_sha256:
    `models.weights.digest` of the weights, "" for random ones. graphs: as how many graphs a GPU is
    given a request, 0 for operator by operator. pretrained: absolute path of these weights; where
    they lie makes no difference to the specification."""

    name: str
    batch_size: int = 1
    size: int = 0
    dtype: str = "float32"
    seed: int = 0
    work_us: int = 0
    weights_sha256: str = ""
    graphs: int = 0
    pretrained: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Everything, to make it again elsewhere."""
        return asdict(self)

    @property
    def operators(self) -> "ModelSpec":
        """The same, operator by operator: what is built, however it is launched."""
        return replace(self, graphs=0)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this model, for hashes and keys that are kept: the weights' content, not
        their path. Random weights say nothing, nor does a request without graphs, as they did
        before there were others."""
        same = self.as_dict()
        del same["pretrained"]
        for later in ("weights_sha256", "graphs"):
            if not same[later]:
                del same[later]
        return same
