"""From a specification to a workload."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from models.families import CATALOG, FAMILIES
from models.spec import ModelSpec
from models.workload import Workload

_library: torch.library.Library | None = None


@cache
def build(spec: ModelSpec) -> Workload:
    """The workload of a specification, one instance a process.

    Raises KeyError for a name that is not in the catalogue, ValueError for bare commands, which
    have no module."""
    if CATALOG[spec.name].bare:
        raise ValueError(f"{spec.name} is made of bare commands; it has no module")
    declare_torchvision_operators()
    workload: Workload = FAMILIES[spec.name].build(spec)
    workload.module.eval().requires_grad_(False)
    return workload


def declare_torchvision_operators() -> None:
    """Call before the first import of torchvision or transformers; harmless where not needed.

    torchvision's wheels are linked against CUDA; with another torch their operators do not register
    and ``import torchvision`` fails ("operator torchvision::nms does not exist"), and with it the
    import of transformers' models. Declaring the two operators' schemas is enough for classifiers;
    detection operators stay unusable."""
    global _library
    if _library is not None or torch.version.cuda is not None or not linked_against_cuda():
        return
    # PyTorch annotates neither of the two.
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch's
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]  # torch's
    _library = library  # the schemas live as long as this reference


def linked_against_cuda() -> bool:
    """Whether torchvision is, as its version says; without importing it."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    return "+cu" in Path(spec.origin).with_name("version.py").read_text()
