"""Image classifiers of torchvision: input images (batch_size, 3, size, size), output logits."""

from models.spec import ModelInfo, ModelSpec
from models.workload import Workload, in_turn, with_weights

CONSTRUCTORS = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet152": "resnet152",
    "mobilenet": "mobilenet_v3_large",
    "vit_b_16": "vit_b_16",
}
MODELS = dict.fromkeys(CONSTRUCTORS, ModelInfo("pixels", 224, 32, 1024))
# The position embedding fixes ViT's image size.
MODELS["vit_b_16"] = ModelInfo("pixels", 224, 224, 224)


def build(spec: ModelSpec) -> Workload:
    import torch
    from torchvision import models

    module = with_weights(lambda: getattr(models, CONSTRUCTORS[spec.name])(weights=None), spec)
    shape, dtype = (spec.batch_size, 3, spec.size, spec.size), getattr(torch, spec.dtype)

    def images(generator: torch.Generator) -> torch.Tensor:
        return torch.rand(shape, generator=generator).to(dtype)

    return Workload(module, in_turn(spec, images))
