"""The plain description of a trial, which everything behind the configuration works from."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from models import ModelSpec
from runner.config.arms import Arm
from xsched_bindings.policies.base import PRIORITY, Hint
from xsched_bindings.types import PreemptLevel


@dataclass(frozen=True)
class Arrival:
    """When a task's requests arrive. What its process does not take keeps its default, so that it
    makes no difference to the specification.

    load: share of the task's solo capacity; rate_rps: requests a second. One of the two is set,
    unless the process is closed or trace. trace: its arrival times, int64 nanoseconds after the
    start; the file's content, not its path, is what is measured."""

    process: str
    load: float | None = None
    rate_rps: float | None = None
    sigma: float = 0.0
    cv: float = 0.0
    burst_size: int = 1
    in_flight: int = 1
    trace: bytes = b""


@dataclass(frozen=True)
class TaskSpec:
    """One task with everything inherited filled in. hints: by name those that are set, besides the
    priority. level: the one in effect; asked_level: the configured one, higher if the device does
    not have it."""

    name: str
    model: ModelSpec
    requests: int
    priority: int
    hints: tuple[tuple[str, int], ...]
    level: PreemptLevel
    asked_level: PreemptLevel
    threshold: int
    batch_size: int
    arrival: Arrival

    @property
    def closed(self) -> bool:
        """Whether the next request arrives when the last one is done."""
        return self.arrival.process == "closed"

    def hint(self, hint: Hint) -> int | None:
        if hint is PRIORITY:
            return self.priority
        return dict(self.hints).get(hint.name, hint.default)


#: What only an arm with XSched depends on.
OF_XSCHED = (
    "scheduler",
    "policy",
    "timeslice_us",
    "k",
    "cuda_lv3",
    "shim",
    "companion",
    "probes",
    "probe_work_us",
)
#: Of a device: nobody chose one.
NO_CHOICE = ("", "0")
#: Null where a task does not set them, as when hashes began. Later hints count where they are set,
#: so that a new one changes no hash.
HASHED_HINTS = ("utilization", "deadline_us", "laxity_us")
OF_QUEUES = ("level", "asked_level", "threshold", "batch_size")


@dataclass(frozen=True)
class TrialSpec:
    """One arm over one task set, once. Two equal specifications ask for the same measurement.

    scheduler, platform, placement: "auto" until `runner.platforms.choose.settle` has decided. mps:
    whether NVIDIA's Multi-Process Service is between the processes and the GPU. hardware_queues: of
    a process, on AMD. device: the GPU that was asked for, "" for any of several, and on host.
    lead_in_s: from the common start of a group to its window. duration_s: length
    of the window, None if it ends with the tasks' requests."""

    task_set: str
    arm: Arm
    scheduler: str
    policy: str
    timeslice_us: int
    k: int
    probes: int
    probe_work_us: int
    platform: str
    placement: str
    device_cores: int
    device: str
    cuda_lv3: str
    shim: bool
    companion: bool
    mps: bool
    hardware_queues: int
    keep_load: bool
    lead_in_s: float
    duration_s: float | None
    warmup: int
    limit_s: float
    seed: int
    tasks: tuple[TaskSpec, ...]

    @property
    def uses_xsched(self) -> bool:
        return self.arm.uses_xsched

    @property
    def takes_time_slices(self) -> bool:
        """Whether queues are interrupted by XSched's TSG: the GPU's time slices of the process."""
        interrupts = any(task.level is PreemptLevel.interrupt for task in self.tasks)
        return self.uses_xsched and self.cuda_lv3 == "tsg" and interrupts

    @property
    def lead_in_ns(self) -> int:
        return round(self.lead_in_s * 1e9)

    @property
    def priorities(self) -> list[int]:
        """The priorities that occur, most urgent first."""
        return sorted({task.priority for task in self.tasks}, reverse=True)

    @property
    def groups(self) -> list[list[int]]:
        """Indices of the tasks that run side by side, one list after another."""
        return self.arm.groups([task.priority for task in self.tasks])

    @cached_property
    def config_hash(self) -> str:
        """Twelve hexadecimal digits; the order of keys and spelled-out defaults do not change it,
        nor do places (output, tracking) that cannot change a measurement, nor settings of XSched
        in an arm that does without it."""
        import hashlib  # here, for an error message can do without them
        import json

        def digest(trace: bytes) -> str:
            return hashlib.sha256(trace).hexdigest()

        canonical = json.dumps(self._measured(), sort_keys=True, default=digest)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def _measured(self) -> dict[str, Any]:
        plain = asdict(self)
        if not self.lead_in_s:  # as when hashes began: there were no lead-ins
            plain.pop("lead_in_s")
        if self.device in NO_CHOICE:  # likewise: there was no telling several GPUs apart
            plain.pop("device")
        if self.platform != "hip":  # it has no effect elsewhere
            plain.pop("hardware_queues")
            plain.pop("companion")
        for task, made in zip(self.tasks, plain["tasks"], strict=True):
            made["model"] = task.model.identity
            if task.arrival.in_flight == 1:  # as when hashes began
                made["arrival"].pop("in_flight")
            made |= dict.fromkeys(HASHED_HINTS) | dict(made.pop("hints"))
        if not self.uses_xsched:
            for name in OF_XSCHED:
                plain.pop(name, None)
            for task in plain["tasks"]:
                for name in OF_QUEUES:
                    task.pop(name)
        return plain
