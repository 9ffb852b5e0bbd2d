"""From a specification to a workload."""

from functools import cache

from models.catalog import CATALOG, FAMILIES
from models.compat import declare_torchvision_operators
from models.spec import ModelSpec
from models.workload import Workload


@cache
def build(spec: ModelSpec) -> Workload:
    """The workload of a specification, one instance a process.

    Raises KeyError for a name that is not in the catalogue, ValueError for bare commands, which
    have no module.
    """
    if CATALOG[spec.name].bare:
        raise ValueError(f"{spec.name} is made of bare commands; it has no module")
    declare_torchvision_operators()  # before a family imports torchvision or transformers
    workload: Workload = FAMILIES[spec.name].build(spec)
    workload.module.eval().requires_grad_(False)
    return workload
