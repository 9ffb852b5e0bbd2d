"""Tasks, requests and marks made by hand: what the judges of the window are fed in their tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models import ModelSpec
from runner.config.spec import Arrival, TaskSpec
from runner.proof.marks import Marks, Served
from xsched_bindings.types import PreemptLevel

MS = 1_000_000


def task(name: str, priority: int = 0, **hints: int) -> TaskSpec:
    """A task of level block, 2/1."""
    return TaskSpec(
        name=name,
        model=ModelSpec("synthetic"),
        requests=10,
        priority=priority,
        hints=tuple(hints.items()),
        level=PreemptLevel.block,
        asked_level=PreemptLevel.block,
        threshold=2,
        batch_size=1,
        arrival=Arrival("closed"),
    )


def served(
    of: TaskSpec,
    spans_ms: Sequence[tuple[float, float]],
    marks_ms: Sequence[float],
    parts: int = 10,
    **about: Any,
) -> Served:
    """A task whose requests were in service in these spans, and reached marks at those times; a
    part is a command and takes 1 ms alone."""
    spans = np.array(spans_ms, dtype=float).reshape(-1, 2) * MS
    at_ns = np.array(marks_ms, dtype=float) * MS
    about.setdefault("results", np.zeros(0))
    about.setdefault("commands", parts)
    marks = Marks(of.name, parts, at_ns=at_ns.astype(np.int64), **about)
    return Served(of, spans.astype(np.int64), marks, alone_s=parts / 1e3)
