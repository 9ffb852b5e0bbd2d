import dataclasses
import math

import numpy as np
import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import Arrival
from runner.sweep import estimate
from runner.sweep.estimate import window_s
from runner.sweep.plan import Planned

TRACE = np.array([1, 2, 3.5, 9]) * 1e9


@pytest.mark.parametrize(
    ("arrival", "seconds"),
    [
        (Arrival("closed"), 3 * 0.1 * 2),
        (Arrival("poisson", load=0.2), 3 * 0.1 / 0.2),
        (Arrival("periodic", rate_rps=5.0), 3 / 5),
        (Arrival("trace", trace=TRACE.astype(np.int64).tobytes()), 3.5),
    ],
)
def test_a_window_is_as_long_as_three_requests_beside_another_task(
    arrival: Arrival, seconds: float
) -> None:
    config = Config()
    config.task_set.tasks = {"a": TaskConfig(requests=3)}
    (task,) = resolve(config).tasks
    found = window_s(dataclasses.replace(task, arrival=arrival), 0.1, 2)
    assert math.isclose(found, seconds)


def test_a_warm_parent_is_paid_for_once_a_loader_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """native, xsched, native, xsched on a GPU: the first two start the parents."""
    points = []
    for arm in ("native", "xsched") * 2:
        config = Config()
        config.arm.name = arm
        config.task_set.tasks = {"a": TaskConfig(requests=3)}
        point = Planned([], {})
        point.trial = dataclasses.replace(resolve(config), platform="cuda")
        points.append(point)
    monkeypatch.setattr(estimate, "_minutes", lambda each: 1.0)
    once = estimate.WARM_PARENT_S / 60
    assert estimate.minutes(points) == [1 + once, 1 + once, 1.0, 1.0]
    monkeypatch.setattr(estimate, "_minutes", lambda each: None)
    assert estimate.minutes(points) == [None] * 4, "what is not known is not made up"
