"""The list of metrics, and what is said about each."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement, Scope
from runner.metrics.task import Tasks


class About(Enum):
    """What a metric is computed from."""

    #: The requests of a scope's tasks, of which equal numbers are compared.
    REQUESTS = auto()
    #: The tasks of a scope: one task, or those of a priority.
    TASKS = auto()
    #: The tasks of a scope, among all that ran side by side.
    PART = auto()
    #: All tasks that ran side by side.
    SYSTEM = auto()
    #: What was counted of the run as a whole.
    RUN = auto()


#: Called with the tasks of the scope (REQUESTS, TASKS, SYSTEM), with these and all tasks (PART), or
#: with the `Measurement` (RUN). A figure, or None where they do not have it.
Compute = Callable[..., Estimate | None]


@dataclass(frozen=True)
class Metric:
    """One figure. higher_is_better: None where neither is. by_ratio: arms are compared by its
    ratio; by its difference where it may be zero. needs: the hint that each of its tasks must have,
    "" for none."""

    tag: str
    unit: str
    formula: str
    higher_is_better: bool | None
    compute: Compute
    by_ratio: bool = True
    about: About = About.TASKS
    needs: str = ""

    @property
    def goes_with_pace(self) -> bool:
        """Whether the figure grows with the time that fixed work takes: times do, and rates not,
        for that of an open loop is its arrivals'."""
        return self.unit == "ms"

    @property
    def of_all(self) -> bool:
        """Whether it has one value a run and no scope is said with it."""
        return self.about in (About.SYSTEM, About.RUN)

    def __call__(self, tasks: Tasks, *others: Any) -> Estimate | None:
        """The figure of these tasks; None if there is none, as for a task without requests."""
        if not tasks or not all(len(task.response_ms) for task in tasks):
            return None
        return self.compute(tasks, *others)

    def of(self, measured: Measurement, scope: Scope) -> Estimate | None:
        """The figure of a scope of a run; None where the run does not have it."""
        if self.about is About.RUN:
            return self.compute(measured)
        tasks = [measured.tasks[name] for name in scope.tasks]
        if self.about is About.PART:
            return self(tasks, list(measured.tasks.values())) if measured.side_by_side else None
        return self(tasks)


METRICS: dict[str, Metric] = {}


def metric(
    tag: str,
    unit: str,
    formula: str,
    *,
    higher_is_better: bool | None,
    by_ratio: bool = True,
    about: About = About.TASKS,
    needs: str = "",
) -> Callable[[Compute], Compute]:
    """Make a function the metric of that tag."""

    def register(compute: Compute) -> Compute:
        METRICS[tag] = Metric(tag, unit, formula, higher_is_better, compute, by_ratio, about, needs)
        return compute

    return register
