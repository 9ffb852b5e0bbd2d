"""Workloads by name: what a request of a task computes. No knowledge of queues or schedulers.

`catalog` says what exists and is free of torch; `build` makes a module for a GPU or for
eager execution; `export` turns one into commands for the host platform.
"""

from models.catalog import CATALOG, DTYPES, ModelInfo, ModelSpec

__all__ = ["CATALOG", "DTYPES", "ModelInfo", "ModelSpec"]
