"""What a request takes with nobody beside it, on whatever platform."""

import time
from collections.abc import Callable, Iterable, Sequence

from models import ModelSpec
from runner.platforms.contract import TaskLane

REQUESTS = 7


def solo_times(
    lanes: Iterable[TaskLane], models: Sequence[ModelSpec], say: Callable[[str], None]
) -> dict[ModelSpec, float]:
    """Seconds of a request of each of these models that a lane has: the fastest of a few, for what
    disturbs a run on a shared machine only ever adds to it."""
    solo: dict[ModelSpec, float] = {}
    for lane in lanes:
        if lane.task.model in models and lane.task.model not in solo:
            say(f"calibrating {lane.task.model.name}")
            solo[lane.task.model] = min(_seconds(lane.request) for _ in range(REQUESTS))
    return solo


def _seconds(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
