"""torchvision's wheels are linked against CUDA; with a CPU torch their operators do not register
and ``import torchvision`` fails ("operator torchvision::nms does not exist"), and with it the
import of transformers' models. Declaring the two operators' schemas is enough for classifiers;
detection operators stay unusable."""

import torch

_library: torch.library.Library | None = None


def declare_torchvision_operators() -> None:
    """Call before the first import of torchvision or transformers; harmless where not needed."""
    global _library
    if _library is not None or torch.version.cuda is not None or torch.version.hip is not None:
        return
    # PyTorch annotates neither of the two.
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch's
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]  # torch's
    _library = library  # the schemas live as long as this reference
