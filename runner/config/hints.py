"""What a policy needs of a task set: hints that it acts on, and something that it can suspend."""

from collections.abc import Sequence

from runner.config.errors import UserError
from runner.config.spec import TaskSpec


def check_hints(policy: str, k: int, tasks: Sequence[TaskSpec]) -> None:
    """Raises `UserError` for a task set that the policy cannot schedule, or that it would run
    without ever suspending a queue."""
    if policy == "up":
        _check_utilization(tasks)
    elif policy in ("kedf", "lax", "cfs", "mlfq"):
        _check_several(policy, tasks)
        if policy == "kedf":
            _check_deadlines(k, tasks)
        if policy == "lax":
            _check_laxity(tasks)


def _check_several(policy: str, tasks: Sequence[TaskSpec]) -> None:
    if len(tasks) < 2:
        raise UserError(
            "xsched.policy", policy, "it would never suspend the only task", remedy="add a task"
        )


def _check_utilization(tasks: Sequence[TaskSpec]) -> None:
    for task in tasks:
        if task.utilization is None:
            raise UserError(
                f"task_set.tasks.{task.name}.utilization",
                "null",
                "policy up starves a task without a utilization",
                allowed="0 to 100",
                remedy="give every task one",
            )
    total = sum(task.utilization or 0 for task in tasks)
    if total > 100:
        raise UserError(
            "task_set.tasks.*.utilization", total, "the shares exceed the device", "a sum up to 100"
        )


def _check_deadlines(k: int, tasks: Sequence[TaskSpec]) -> None:
    for task in tasks:
        if task.deadline_us is None:
            raise UserError(
                f"task_set.tasks.{task.name}.deadline_us",
                "null",
                "policy kedf puts a task without a deadline behind all others",
                allowed="1 or more",
                remedy="give every task one",
            )
    if k >= len(tasks):
        raise UserError(
            "xsched.k",
            k,
            f"policy kedf runs so many of {len(tasks)} tasks at once: it would never suspend one",
            allowed=f"1 to {len(tasks) - 1}",
        )


def _check_laxity(tasks: Sequence[TaskSpec]) -> None:
    for task in tasks:
        if task.laxity_us is None and task.priority:
            raise UserError(
                f"task_set.tasks.{task.name}.laxity_us",
                "null",
                f"policy lax ignores the priority ({task.priority}) of a task without a laxity",
                allowed="0 or more",
                remedy="give it one, or priority 0",
            )
    if not any(task.priority for task in tasks):
        raise UserError(
            "task_set.tasks.*.priority",
            0,
            "policy lax would never suspend one: a task has priority 0 until its laxity is used up "
            "and its own from then on",
            remedy="give a task that has a laxity_us another priority",
        )
