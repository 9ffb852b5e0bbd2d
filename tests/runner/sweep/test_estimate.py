import dataclasses
import math

import numpy as np
import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import Arrival
from runner.sweep.estimate import window_s

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
