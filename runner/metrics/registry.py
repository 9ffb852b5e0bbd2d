"""The list of metrics, and what is said about each."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from runner.metrics.intervals import Estimate
from runner.metrics.task import Tasks

#: A figure, or None where these tasks do not have it.
Compute = Callable[[Tasks], Estimate | None]


@dataclass(frozen=True)
class Metric:
    """One figure. by_ratio: arms are compared by its ratio; by its difference where it may be zero.
    of_all: it is about all tasks that run side by side, not about one or some of them."""

    tag: str
    unit: str
    formula: str
    higher_is_better: bool
    compute: Compute
    by_ratio: bool = True
    of_all: bool = False

    def __call__(self, tasks: Tasks) -> Estimate | None:
        """The figure of these tasks; None if there is none, as for a task without requests."""
        if not tasks or not all(len(task.response_ms) for task in tasks):
            return None
        return self.compute(tasks)


METRICS: dict[str, Metric] = {}


def register(figure: Metric) -> None:
    """Put it on the list."""
    METRICS[figure.tag] = figure


def metric(
    tag: str, *, higher_is_better: bool, by_ratio: bool = True, of_all: bool = False
) -> Callable[[Compute], Compute]:
    """`register` a function; its docstring says ``Unit:`` and ``Formula:``, a line each."""

    def put(compute: Compute) -> Compute:
        unit, formula = _line(compute, "Unit"), _line(compute, "Formula")
        register(Metric(tag, unit, formula, higher_is_better, compute, by_ratio, of_all))
        return compute

    return put


def _line(compute: Compute, name: str) -> str:
    """What the docstring says behind ``name:``; nothing where Python has dropped docstrings."""
    found = re.search(rf"^{name}: (.+)$", inspect.getdoc(compute) or "", re.MULTILINE)
    return found[1] if found else ""
