"""What the operating system allows one trial: known before its start, so that it does not fail in
the middle of it."""

import resource
from typing import NamedTuple

from runner.config.arms import Streams
from runner.config.spec import TrialSpec
from runner.platforms.machine import lift_limit
from xsched_bindings.host.device import MOST_WAITERS
from xsched_bindings.host.stream import DESCRIPTORS


class Limit(NamedTuple):
    """task: how many a task needs; besides: the trial's process and Python."""

    number: int
    what: str
    command: str
    task: int
    besides: int


LIMITS = (
    Limit(resource.RLIMIT_NOFILE, "descriptors", "ulimit -Hn", DESCRIPTORS, 64),
    # Its executor, its worker, its queue's launch worker.
    Limit(resource.RLIMIT_NPROC, "processes and threads", "ulimit -Hu", 3, 16),
)


def exceeded(trial: TrialSpec) -> str:
    """Why this machine cannot run so many tasks, and what helps; "" if it can."""
    tasks = len(trial.tasks)
    if trial.arm.streams is Streams.shared and tasks > MOST_WAITERS:
        serves = f"which serves {MOST_WAITERS}: fewer tasks"
        return f"{tasks} tasks of arm {trial.arm} share a stream, {serves}"
    for limit in LIMITS:
        _, hard = resource.getrlimit(limit.number)
        needed = limit.besides + limit.task * tasks
        if hard != resource.RLIM_INFINITY and needed > hard:
            allows = f"{limit.command} allows {hard}: raise that, or fewer tasks"
            return f"{tasks} tasks need {needed} {limit.what}; {allows}"
    return ""


def lift() -> None:
    """Let this process, and those that it starts, have what the hard limits allow."""
    for limit in LIMITS:
        lift_limit(limit.number)
