"""Types and constants of XSched's C API (source: ``include/xsched/types.h``, XSched 1.2.0).

Names are lower case where a configuration file spells them, so that ``level: block`` reads the
same in YAML, in Python and in a log.
"""

from enum import IntEnum, IntFlag


class Result(IntEnum):
    """``XResult``: what every function of the C library returns."""

    success = 0
    hardware = 1
    invalid_value = 2
    not_found = 3
    not_allowed = 4
    not_supported = 5
    bad_response = 6
    unknown = 999


class PreemptLevel(IntEnum):
    """``XPreemptLevel``: what a suspended queue may still do (XSched paper, section 4).

    block: commands in flight finish, nothing new is launched.
    deactivate: the running command finishes, those behind it are held back.
    interrupt: the running command stops too."""

    block = 1
    deactivate = 2
    interrupt = 3


class QueueState(IntEnum):
    """``XQueueState``."""

    unknown = 0
    idle = 1
    ready = 2


class SchedulerType(IntEnum):
    """``XSchedulerType``: who decides which queues run."""

    unknown = 0
    app_managed = 1
    local = 2
    # "global" is a Python keyword; configuration files use the plain word (see `by_name`).
    global_ = 3

    @classmethod
    def by_name(cls, name: str) -> "SchedulerType":
        """The scheduler that a configuration file calls `name` (``local``, ``global``)."""
        return cls["global_" if name == "global" else name]


class PolicyType(IntEnum):
    """``XPolicyType``; member names are XSched's own abbreviations in lower case."""

    unknown = 0
    hpf = 1
    hhpf = 2
    chpf = 3
    up = 4
    pup = 5
    spup = 6
    kedf = 7
    lax = 8
    awf = 9
    cfs = 10
    mlfq = 11


class SuspendFlag(IntFlag):
    """``XQueueSuspendFlag``."""

    none = 0
    sync_hw_queue = 1
    wait_all = 2
    wait_idle = 4


class ResumeFlag(IntFlag):
    """``XQueueResumeFlag``."""

    none = 0
    drop_commands = 1


PRIORITY_NO_EXECUTE = -256
PRIORITY_MIN = -255
PRIORITY_DEFAULT = 0
PRIORITY_MAX = 255

UTILIZATION_MIN = 0
UTILIZATION_MAX = 100

TIMESLICE_MIN_US = 100
TIMESLICE_DEFAULT_US = 5_000
TIMESLICE_MAX_US = 10_000_000

NO_LAXITY = -1
NO_DEADLINE = -1

#: Defaults of a new XQueue (``preempt/include/xsched/preempt/xqueue/xqueue.h``).
DEFAULT_THRESHOLD = 16
DEFAULT_BATCH_SIZE = 8
