"""From a specification to a workload."""

from collections.abc import Callable
from functools import cache

from models.catalog import CATALOG, ModelSpec
from models.compat import declare_torchvision_operators
from models.workload import Workload


@cache
def build(spec: ModelSpec) -> Workload:
    """The workload of a specification, one instance a process.

    Raises KeyError for a name that is not in the catalogue, ValueError for "synthetic", which has
    no module.
    """
    declare_torchvision_operators()  # before the families import torchvision and transformers
    from models import bert, gpt2, vision

    builders: dict[str, Callable[[ModelSpec], Workload]] = {
        "bert": bert.build,
        "gpt2": gpt2.build,
        "vision": vision.build,
    }
    family = CATALOG[spec.name].family
    if family not in builders:
        raise ValueError(f"{spec.name} is made of bare commands; it has no module")
    workload = builders[family](spec)
    workload.module.eval().requires_grad_(False)
    return workload
