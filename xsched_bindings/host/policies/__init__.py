"""XSched's scheduling policies, pure: (queues, hints, now) → which queues run, when to look again.

They hold hints, time slices and what they have seen, but no thread, lock or clock, so the live
scheduler, the proof, the tests and a simulator share them. Source: ``sched/src/policy/*.cpp``;
what differs is listed in docs/policies.md.
"""

from collections.abc import Callable

from xsched_bindings.errors import XSchedError
from xsched_bindings.host.policies.base import Decision, Policy
from xsched_bindings.host.policies.cfs import CompletelyFair
from xsched_bindings.host.policies.hpf import HighestPriorityFirst
from xsched_bindings.host.policies.kedf import KEarliestDeadlineFirst
from xsched_bindings.host.policies.lax import Laxity
from xsched_bindings.host.policies.mlfq import MultiLevelFeedback
from xsched_bindings.host.policies.up import UtilizationPartition
from xsched_bindings.types import PolicyType, Result

__all__ = [
    "POLICIES",
    "CompletelyFair",
    "Decision",
    "HighestPriorityFirst",
    "KEarliestDeadlineFirst",
    "Laxity",
    "MultiLevelFeedback",
    "Policy",
    "UtilizationPartition",
    "create_policy",
]

POLICIES: dict[PolicyType, Callable[[], Policy]] = {
    PolicyType.hpf: HighestPriorityFirst,
    PolicyType.up: UtilizationPartition,
    PolicyType.kedf: KEarliestDeadlineFirst,
    PolicyType.lax: Laxity,
    PolicyType.cfs: CompletelyFair,
    PolicyType.mlfq: MultiLevelFeedback,
}


def create_policy(policy: PolicyType) -> Policy:
    """A fresh policy without hints.

    Raises `XSchedError`: invalid_value for "unknown", as ``XHintSetScheduler`` answers, and
    not_supported for one that this platform does not have (where XSched would end the process).
    """
    arguments = {"policy": policy.name}
    if policy is PolicyType.unknown:
        raise XSchedError("XHintSetScheduler", arguments, Result.invalid_value)
    if policy not in POLICIES:
        known = ", ".join(known.name for known in POLICIES)
        raise XSchedError(
            "XHintSetScheduler",
            arguments,
            Result.not_supported,
            f"the host platform implements {known}",
        )
    return POLICIES[policy]()
