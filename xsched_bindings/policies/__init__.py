"""Scheduling policies, pure: (queues, hints, now) → which queues run, when to look again.

A module a policy. They hold hints, time slices and what they have seen, but no thread, lock or
clock, so the host platform's scheduler, the proofs, the tests and a simulator share them. XSched's
own have its names (`xsched_bindings.types.PolicyType`) and are written after
``sched/src/policy/*.cpp``; what differs is listed in docs/policies.md.
"""

import importlib
import pkgutil

from xsched_bindings.errors import XSchedError
from xsched_bindings.policies.base import HINTS, POLICIES, Decision, Kind, Policy
from xsched_bindings.types import PolicyType, Result

__all__ = ["HINTS", "POLICIES", "Decision", "Kind", "Policy", "create_policy"]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)  # registers its policy and its hints


def create_policy(name: str) -> Policy:
    """A fresh policy without hints.

    Raises `XSchedError`: invalid_value for "unknown", as ``XHintSetScheduler`` answers, and
    not_supported for one that is not here (where XSched would end the process)."""
    arguments = {"policy": name}
    if name == PolicyType.unknown.name:
        raise XSchedError("XHintSetScheduler", arguments, Result.invalid_value)
    if name not in POLICIES:
        detail = f"the host platform implements {', '.join(POLICIES)}"
        raise XSchedError("XHintSetScheduler", arguments, Result.not_supported, detail)
    return POLICIES[name].create()
