"""Image classifiers of torchvision: input images (batch_size, 3, size, size), output logits."""

import importlib

import torch

from models.catalog import ModelSpec
from models.workload import Workload, random_weights

CONSTRUCTORS = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnet152": "resnet152",
    "mobilenet": "mobilenet_v3_large",
    "vit_b_16": "vit_b_16",
}


def build(spec: ModelSpec) -> Workload:
    constructor = getattr(importlib.import_module("torchvision.models"), CONSTRUCTORS[spec.name])
    module = random_weights(lambda: constructor(weights=None), spec)
    generator = torch.Generator().manual_seed(spec.seed)
    images = torch.rand(spec.batch_size, 3, spec.size, spec.size, generator=generator)
    return Workload(module, (images.to(getattr(torch, spec.dtype)),))
