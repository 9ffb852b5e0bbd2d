"""What policies need of a task set is asked for before anything starts."""

import pytest

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig


def config(policy: str, *tasks: TaskConfig, k: int = 1) -> Config:
    made = Config()
    made.xsched.policy, made.xsched.k = policy, k
    made.task_set.tasks = dict(zip("abcd", tasks, strict=False))
    return made


DUE = TaskConfig(deadline_us=5)
URGENT = TaskConfig(priority=1, laxity_us=5)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (config("kedf", DUE, TaskConfig()), "task_set.tasks.b.deadline_us=null: policy kedf puts"),
        (config("kedf", DUE, DUE, DUE, k=3), "xsched.k=3: policy kedf runs so many of 3 tasks"),
        (config("kedf", DUE, DUE, DUE, k=4), "allowed: 1 to 2"),
        (config("kedf", DUE), "xsched.policy=kedf: it would never suspend the only task"),
        (config("kedf", DUE, DUE, k=0), "xsched.k=0: out of range"),
        (config("lax", URGENT), "it would never suspend the only task"),
        (
            config("lax", URGENT, TaskConfig(priority=2)),
            "tasks.b.laxity_us=null: policy lax ignore",
        ),
        (config("lax", TaskConfig(laxity_us=5), TaskConfig()), "policy lax would never suspend"),
        (config("lax", TaskConfig(laxity_us=10_000_001), URGENT), "allowed: 0 to 10000000"),
        (config("cfs", TaskConfig()), "it would never suspend the only task"),
        (config("mlfq", TaskConfig()), "it would never suspend the only task"),
    ],
)
def test_what_a_policy_cannot_schedule_is_refused(made: Config, says: str) -> None:
    with pytest.raises(UserError) as error:
        resolve(made)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "made",
    [
        config("kedf", DUE, DUE, DUE, k=2),
        config("lax", URGENT, TaskConfig()),
        config("cfs", TaskConfig(), TaskConfig()),
        config("mlfq", TaskConfig(), TaskConfig()),
    ],
)
def test_what_it_can_is_not(made: Config) -> None:
    assert resolve(made).k == made.xsched.k
