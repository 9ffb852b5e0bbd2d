"""The figures of a run: `METRICS`, by tag. Each is a small function of the tasks it is about, with
its unit and formula; the list in words is docs/statistics.md. Every module here registers the
metrics that it has."""

import importlib
import pkgutil

from runner.metrics.registry import METRICS, Metric
from runner.metrics.task import Task, Tasks

__all__ = ["METRICS", "Metric", "Task", "Tasks"]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
