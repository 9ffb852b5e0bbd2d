"""All models by name: what the modules of `models.families` declare, known without torch."""

import importlib
import pkgutil

from models import families
from models.spec import ModelInfo

_modules = [
    importlib.import_module(f"{families.__name__}.{found.name}")
    for found in pkgutil.iter_modules(families.__path__)
]
#: Model name to the module of its family.
FAMILIES = {name: module for module in _modules for name in module.MODELS}
CATALOG: dict[str, ModelInfo] = {name: FAMILIES[name].MODELS[name] for name in FAMILIES}
