"""What the host device loads: models as programs of commands. Runs in the device process only."""

from collections.abc import Mapping
from typing import Any

from models import CATALOG, ModelSpec
from models.families import synthetic
from xsched_bindings.host.executor import Program


def load(spec: Mapping[str, Any]) -> Program:
    """The program of a model specification (see `models.ModelSpec`). Torch is imported for the
    models that need it, and not for synthetic commands."""
    model = ModelSpec(**spec)
    if CATALOG[model.name].bare:
        return Program(synthetic.commands(model.size, model.work_us))

    import torch

    torch.set_num_threads(1)  # before torch starts a thread: executors are forked from here
    from models.build import build
    from models.export import ExportedProgram

    exported = ExportedProgram(build(model))
    return Program(
        exported.commands, torch.inference_mode, take=exported.take, result=exported.fingerprint
    )
