"""torchvision's wheels are linked against CUDA; with a CPU torch their operators do not register
and ``import torchvision`` fails ("operator torchvision::nms does not exist"), and with it the
import of transformers' models. Declaring the two operators' schemas is enough for classifiers;
detection operators stay unusable."""

import importlib
from types import ModuleType

import torch

_library: torch.library.Library | None = None


def declare_torchvision_operators() -> None:
    """Call before the first import of torchvision or transformers; harmless where not needed."""
    global _library
    if _library is not None or torch.version.cuda is not None or torch.version.hip is not None:
        return
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _library = library  # the schemas live as long as this reference


def import_torchvision_models() -> ModuleType:
    declare_torchvision_operators()
    return importlib.import_module("torchvision.models")
