"""The language in which every figure is named: ``metric/scope``, as in ``p99_ms/priority_3``.

A scope is a task, ``priority_<n>``, ``highest`` or ``lowest`` priority, or ``system``: all tasks
that ran side by side. A metric of the whole (``stp``, ``preemptions``) has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.config.errors import UserError, nearest
from runner.config.names import HIGHEST, LOWEST, SYSTEM, TOTAL
from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement, Scope
from runner.metrics.registry import METRICS, Metric


@dataclass(frozen=True)
class Figure:
    """A figure's name. scope: "" where the metric has none, or none is said."""

    metric: Metric
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.metric.tag}/{self.scope}" if self.scope else self.metric.tag

    def scope_of(self, measured: Measurement) -> Scope | None:
        """What it is about in this run; None if the run has no such scope. Without a scope, the
        highest priority is meant."""
        wanted = SYSTEM if self.metric.of_all else self.scope or HIGHEST
        if wanted in (HIGHEST, LOWEST):
            extremes = measured.extremes
            return measured.priority(extremes[wanted == HIGHEST]) if extremes else None
        if wanted == SYSTEM and self.metric.of_all and not measured.side_by_side:
            return None
        return next((scope for scope in measured.scopes() if scope.key == wanted), None)

    def of(self, measured: Measurement) -> Estimate | None:
        """Its value in this run; None where the run does not have it."""
        scope = self.scope_of(measured)
        return self.metric.of(measured, scope) if scope else None


def name_of(metric: Metric, scope: Scope) -> str:
    """The name of a metric's figure about a scope."""
    return metric.tag if metric.of_all else f"{metric.tag}/{scope.key}"


def figure_named(text: str, key: str = "metric") -> Figure:
    """The figure of that name. Raises `UserError`, about the configuration's `key`, for a metric
    that there is not."""
    tag, _, scope = text.partition("/")
    if tag not in METRICS:
        guess = nearest(tag, METRICS)
        remedy = f"did you mean: {f'{guess}/{scope}'.rstrip('/')}" if guess else ""
        raise UserError(key, text, f"there is no figure {tag}", ", ".join(METRICS), remedy)
    return Figure(METRICS[tag], SYSTEM if scope == TOTAL else scope)


def check_scope(figure: Figure, priorities: Mapping[str, int], key: str) -> None:
    """Raise `UserError` if a task set cannot have the figure. priorities: by task."""
    scopes = [*priorities, *(f"priority_{each}" for each in sorted({*priorities.values()}))]
    known = [*scopes, HIGHEST, LOWEST, SYSTEM]
    if figure.scope and figure.scope not in known:
        raise UserError(key, str(figure), f"the task set has no {figure.scope}", known)


def tasks_of(figure: Figure, priorities: Mapping[str, int]) -> list[str]:
    """The tasks that the figure is about, as `Figure.scope_of` finds them in a run."""
    scope = SYSTEM if figure.metric.of_all else figure.scope or HIGHEST
    if scope == SYSTEM:
        return [*priorities]
    ends = {HIGHEST: max(priorities.values()), LOWEST: min(priorities.values())}
    scope = f"priority_{ends[scope]}" if scope in ends else scope
    return [name for name, each in priorities.items() if scope in (name, f"priority_{each}")]


def deciding(text: str, key: str) -> Figure:
    """The figure of that name by which arms are compared: a task's, a priority's, or one that has
    one value a run. Raises `UserError` for any other."""
    figure = figure_named(text, key)
    tag, whole = figure.metric.tag, figure.metric.of_all
    if figure.scope == SYSTEM and not whole:
        problem = "arms are compared by a task's or a priority's figure, and not over all tasks"
        raise UserError(key, text, problem, remedy=f"{tag}/{HIGHEST}, or {tag}/<task>")
    if whole and figure.scope not in ("", SYSTEM):
        problem = f"{tag} has one value a run, and none of {figure.scope}"
        raise UserError(key, text, problem, remedy=f"{key}={tag}")
    return figure
