"""The PyTorch that an interpreter sees, read without importing it (that takes seconds). Needs the
standard library alone: ``make setup`` asks before anything is installed."""

import importlib.util
import runpy
from functools import cache
from pathlib import Path

from runner.platforms.device import TorchBuild


@cache
def build() -> TorchBuild:
    """What the PyTorch of this interpreter is built for; nothing of it if there is none."""
    where = folder()
    if where is None:
        return TorchBuild()
    said = runpy.run_path(str(where / "version.py"))
    return TorchBuild(str(said["__version__"]), said.get("cuda"), said.get("hip"))


def folder() -> Path | None:
    """Where it is installed, None if there is none."""
    spec = importlib.util.find_spec("torch")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
