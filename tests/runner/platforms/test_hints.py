"""What queues are told: the hints that the policy declares, the tasks' own or equal ones."""

import re
from typing import Any

import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.spec import TrialSpec
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.hints import give_hints
from tests.conftest import ROOT
from xsched_bindings.policies import POLICIES


class Told:
    """A queue that keeps what it is told."""

    def __init__(self) -> None:
        self.hints: list[tuple[Any, ...]] = []

    def __getattr__(self, method: str) -> Any:
        return lambda *arguments: self.hints.append((method, *arguments))


def trial(policy: str, arm: str) -> TrialSpec:
    config = Config()
    config.xsched.policy, config.arm.name = policy, arm
    config.task_set.tasks = {
        "a": TaskConfig(priority=7, utilization=70, deadline_us=900, laxity_us=800),
        "b": TaskConfig(utilization=20, deadline_us=5, laxity_us=5),
        "c": TaskConfig(utilization=10, deadline_us=5),
    }
    return resolve(config)


def told(made: TrialSpec, task: int = 0) -> list[tuple[Any, ...]]:
    queue = Told()
    give_hints(queue, made, made.tasks[task])
    return queue.hints


@pytest.mark.parametrize(
    ("policy", "own", "equal"),
    [
        ("hpf", [("hint_priority", 7)], [("hint_priority", 0)]),
        ("cfs", [("hint_priority", 7)], [("hint_priority", 0)]),
        ("up", [("hint_utilization", 70)], [("hint_utilization", 33)]),
        ("kedf", [("hint_deadline", 900)], [("hint_deadline", 1_000_000)]),
        ("lax", [("hint_priority", 7), ("hint_laxity", 800, 0, 7)], [("hint_priority", 0)]),
        ("mlfq", [], []),
    ],
)
def test_queues_are_told_what_the_policy_declares(
    policy: str, own: list[tuple[Any, ...]], equal: list[tuple[Any, ...]]
) -> None:
    assert told(trial(policy, "xsched")) == own
    null = trial(policy, "xsched_null")
    assert [told(null, task) for task in range(3)] == [equal] * 3


def test_what_a_task_does_not_set_is_not_told() -> None:
    assert told(trial("lax", "xsched"), task=2) == [("hint_priority", 0)]


def test_a_gpu_takes_the_policies_that_both_xsched_and_we_have() -> None:
    """XSched runs them, and the proof asks ours what should have run."""
    assert GpuPlatform.policies == ("hpf", "up", "kedf", "lax", "cfs", "mlfq")


def test_nobody_compares_the_names_of_policies() -> None:
    """But the schema has a default."""
    names = "|".join(POLICIES)
    for path in (ROOT / "runner").rglob("*.py"):
        text = path.read_text().replace('policy: str = key("hpf"', "")
        assert not re.search(rf"""(["'])({names})\1""", text), path
