"""Workloads by name: what a request of a task computes. No knowledge of queues or schedulers.

A family of models is a file in `families`, which says what they offer and is free of torch;
`build` makes a module for a GPU or for eager execution; `export` turns one into commands for the
host platform.
"""

from models.families import CATALOG
from models.spec import DTYPES, ModelInfo, ModelSpec

__all__ = ["CATALOG", "DTYPES", "ModelInfo", "ModelSpec"]
