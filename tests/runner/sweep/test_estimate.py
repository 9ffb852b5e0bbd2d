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

TRACE = np.array([0.5, 1, 2, 4.5, 9]) * 1e9


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
    config.task_set.lead_in_s = 1.0
    trial = resolve(config)
    (task,) = trial.tasks
    task = dataclasses.replace(task, arrival=arrival)
    assert math.isclose(window_s(trial, task, 0.1, 2), seconds)
    assert window_s(dataclasses.replace(trial, limit_s=0.4), task, 0.1, 2) == 0.4
    assert window_s(dataclasses.replace(trial, duration_s=7.0), task, 0.1, 2) == 7


@pytest.mark.parametrize(("arm", "lead_ins"), [("native", 1), ("solo", 2)])
def test_every_group_has_its_lead_in(
    monkeypatch: pytest.MonkeyPatch, arm: str, lead_ins: int
) -> None:
    config = Config()
    config.platform.name, config.arm.name = "host", arm
    config.task_set.lead_in_s, config.task_set.duration_s = 2.0, 3.0
    config.task_set.tasks = {"a": TaskConfig(), "b": TaskConfig()}
    point = Planned([], {})
    point.config, point.trial = config, resolve(config)
    known = {task.model: 0.1 for task in point.trial.tasks}
    monkeypatch.setattr(estimate.solo, "known", lambda *_: known)
    (minutes,) = estimate.minutes([point])
    assert minutes == pytest.approx((estimate.SET_UP_S["host"] + lead_ins * (2 + 3)) / 60)


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
    monkeypatch.setattr(estimate, "_minutes", lambda *_: 1.0)
    once = estimate.WARM_PARENT_S / 60
    assert estimate.minutes(points) == [1 + once, 1 + once, 1.0, 1.0]
    monkeypatch.setattr(estimate, "_minutes", lambda *_: None)
    assert estimate.minutes(points) == [None] * 4, "what is not known is not made up"
