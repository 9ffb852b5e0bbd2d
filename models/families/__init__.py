"""A module a family of models, found by being here. It has

MODELS: model name to `ModelInfo`, known without importing torch;
build(spec): the `Workload` of one of them, which imports torch and whatever else it needs. A family
of bare commands has none.
"""

import importlib
import pkgutil

from models.spec import ModelInfo

_modules = [
    importlib.import_module(found.name) for found in pkgutil.iter_modules(__path__, f"{__name__}.")
]
#: Model name to the module of its family, and to what it offers.
FAMILIES = {name: module for module in _modules for name in module.MODELS}
CATALOG: dict[str, ModelInfo] = {name: FAMILIES[name].MODELS[name] for name in FAMILIES}
