"""The numbers are the C headers': include/xsched/types.h of XSched 1.2.0."""

from xsched_bindings.errors import XSchedError
from xsched_bindings.types import (
    PRIORITY_MAX,
    PRIORITY_MIN,
    PRIORITY_NO_EXECUTE,
    PolicyType,
    PreemptLevel,
    QueueState,
    Result,
    SchedulerType,
    SuspendFlag,
)


def test_values_are_the_headers() -> None:
    assert [level.value for level in PreemptLevel] == [1, 2, 3]
    assert [r.value for r in Result] == [0, 1, 2, 3, 4, 5, 6, 999]
    assert [policy.name for policy in PolicyType] == (
        "unknown hpf hhpf chpf up pup spup kedf lax awf cfs mlfq".split()
    )
    assert [policy.value for policy in PolicyType] == list(range(12))
    assert (QueueState.idle, QueueState.ready) == (1, 2)
    assert (SuspendFlag.sync_hw_queue, SuspendFlag.wait_idle) == (1, 4)
    assert (PRIORITY_NO_EXECUTE, PRIORITY_MIN, PRIORITY_MAX) == (-256, -255, 255)


def test_schedulers_are_found_by_the_name_in_a_configuration() -> None:
    assert SchedulerType.by_name("global") is SchedulerType.global_ == 3
    assert SchedulerType.by_name("local") == 2


def test_an_error_names_function_arguments_and_meaning() -> None:
    error = XSchedError("XQueueGet", {"hwq": 7}, Result.not_found)
    assert str(error) == "XQueueGet(hwq=7) failed with error 3 (not_found): " + (
        "no such queue, command or library"
    )
