"""From a specification to a workload."""

import importlib
from functools import cache

from models.catalog import CATALOG, ModelSpec
from models.compat import declare_torchvision_operators
from models.workload import Workload

FAMILIES = ("bert", "gpt2", "vision")


@cache
def build(spec: ModelSpec) -> Workload:
    """The workload of a specification, one instance a process.

    Raises KeyError for a name that is not in the catalogue, ValueError for "synthetic", which has
    no module.
    """
    declare_torchvision_operators()  # before a family imports torchvision or transformers
    family = CATALOG[spec.name].family
    if family not in FAMILIES:
        raise ValueError(f"{spec.name} is made of bare commands; it has no module")
    # Each on its own: transformers takes seconds, and a vision model does without.
    workload: Workload = importlib.import_module(f"models.{family}").build(spec)
    workload.module.eval().requires_grad_(False)
    return workload
