"""What the policy is told of the tasks: their own hints or, in the null control, equal ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.config.resolve import GPU_NAMES
from runner.config.spec import TaskSpec, TrialSpec
from xsched_bindings.interface import Hinted
from xsched_bindings.policies import POLICIES, Policy, create_policy
from xsched_bindings.policies.base import DEADLINE, LAXITY, PRIORITY, UTILIZATION, Hint
from xsched_bindings.types import PRIORITY_DEFAULT


def give_hints(queue: Hinted, trial: TrialSpec, task: TaskSpec) -> None:
    """Those that the policy declares."""
    for hint in POLICIES[trial.policy].hints:
        own = trial.arm.is_treatment
        value = task.hint(hint) if own else hint.equal(len(trial.tasks))
        if value is not None:
            _give(queue, hint, value, task.priority)


def _give(queue: Hinted, hint: Hint, value: int, priority: int) -> None:
    if hint is PRIORITY:
        queue.hint_priority(value)
    elif hint is UTILIZATION:
        queue.hint_utilization(value)
    elif hint is DEADLINE:
        queue.hint_deadline(value)
    elif hint is LAXITY:
        queue.hint_laxity(value, PRIORITY_DEFAULT, priority)
    else:
        queue.hint(hint.name, value)


def pure_policy(trial: TrialSpec, tasks: Mapping[int, TaskSpec]) -> Policy:
    """The trial's policy, as it decides on the trial's platform, with the hints that the live one
    has. tasks: by queue."""
    there = POLICIES[trial.policy].there if trial.platform in GPU_NAMES else None
    policy = there() if there else create_policy(trial.policy)
    policy.set_timeslice(trial.timeslice_us)
    policy.set_k_deadline(trial.k)
    for handle, task in tasks.items():
        give_hints(_PureQueue(policy, handle), trial, task)
    return policy


@dataclass(frozen=True)
class _PureQueue:
    """A queue of a policy that nobody runs."""

    policy: Policy
    handle: int

    def hint_priority(self, priority: int) -> None:
        self.policy.hint_priority(self.handle, priority)

    def hint_utilization(self, percent: int) -> None:
        self.policy.hint_utilization(self.handle, percent)

    def hint_deadline(self, microseconds: int) -> None:
        self.policy.hint_deadline(self.handle, microseconds)

    def hint_laxity(self, microseconds: int, lax_priority: int, critical_priority: int) -> None:
        self.policy.hint_laxity(self.handle, microseconds, lax_priority, critical_priority)

    def hint(self, name: str, value: int) -> None:
        getattr(self.policy, f"hint_{name}")(self.handle, value)
