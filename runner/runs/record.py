"""What a run and a sweep are, written once: the records that their folders keep as JSON.

Times are in the unit that a field's name ends with. None is what nobody knows. Files and reading:
`runner.runs.files`; keys in words: docs/outputs.md.
"""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Self

from runner.metrics.intervals import Estimate, Interval
from runner.platforms.device import DeviceFacts, DeviceOrigin
from runner.proof.checks import Verdict
from runner.trial.others import OtherLoad
from runner.trial.status import Status

#: Of summary.json and sweep.json. Version 1 is read, too; it listed no files.
SCHEMA, OLD = 2, 1


# --- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval, None where there is none; an end that the data cannot give
    ("> max", "< min") is None. is_maximum: a quantile of so few requests that it is the largest."""

    value: float
    interval: tuple[float | None, float | None] | None = None
    is_maximum: bool = False

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        known = estimate.interval
        if known is None:
            return cls(estimate.value, None, estimate.is_maximum)
        ends = [end if math.isfinite(end) else None for end in (known.low, known.high)]
        return cls(estimate.value, (ends[0], ends[1]), estimate.is_maximum)

    @property
    def estimate(self) -> Estimate:
        if self.interval is None:
            return Estimate(self.value, is_maximum=self.is_maximum)
        low, high = self.interval
        ends = (-math.inf if low is None else low, math.inf if high is None else high)
        return Estimate(self.value, Interval(*ends), is_maximum=self.is_maximum)


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """One task. requests: those that count, of `wanted`; extra: those that only kept the load up.
    late_starts: requests that began over 1 ms late because of the runner. offered_rps,
    achieved_rps: of an open loop. open: requests that had arrived and not completed at the end."""

    priority: int
    requests: int = 0
    wanted: int = 0
    extra: int = 0
    window_s: float | None = None
    late_starts: int = 0
    solo_ms: float | None = None
    offered_rps: float | None = None
    achieved_rps: float | None = None
    open: int | None = None


# --- a run ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seal:
    """What a file was when it was written: its bytes, and their SHA-256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Where:
    """Where something was measured. host: the machine's name. machine: twelve hexadecimal digits
    that tell it from all others. device: as `Platform.lock` names it, of a GPU by its UUID. job: of
    the queue of a cluster, "" without one."""

    host: str
    machine: str
    device: str
    job: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """What two measurements have in common that share a device."""
        return self.machine, self.device

    def __str__(self) -> str:
        return f"{self.device} of {self.host}"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """summary.json: what a run came to, and the record that makes it a result: it is written last,
    with the seals of the other measured `files`, and never changed. A failed run has no figures.

    as_expected: whether it ended as it was meant to; a refusal may be what was to be shown. level:
    in effect; asked_level: as configured. priority: what became of the tasks' priorities (equal,
    applied, not applied). preemptions, against_policy: see `runner.proof.window.Judged`. stolen:
    share of a core's time that a hypervisor took, from the common start on. other_load: CPU cores
    that other processes kept busy meanwhile, None where nobody tells. pace_us: CPU time of
    the platform's fixed work meanwhile, None where there is none. cut: whether the window hit its
    limit. preemption_ms: of the level's probes, by percentile. timing_s: how long each step took.
    figures: every metric about every scope that the run has, by name (``p99_ms/priority_3``;
    `runner.metrics.names`)."""

    name: str
    status: Status
    reason: str = ""
    as_expected: bool = False
    valid: bool = False
    notes: tuple[str, ...] = ()
    task_set: str = ""
    arm: str = ""
    platform: str = ""
    placement: str = ""
    mps: bool = False
    policy: str = ""
    level: str = ""
    asked_level: str = ""
    priority: str = ""
    config_hash: str = ""
    proof: Verdict | None = None
    preemptions: int | None = None
    against_policy: float | None = None
    saturation: float | None = None
    stolen: float = 0.0
    other_load: OtherLoad | None = None
    pace_us: float | None = None
    cut: bool = False
    steady: bool = True
    preemption_ms: dict[str, float] = field(default_factory=dict)
    timing_s: dict[str, float] = field(default_factory=dict)
    device: DeviceFacts = field(default_factory=DeviceFacts)
    window_s: float | None = None
    tasks: dict[str, TaskSummary] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    sweep: str = ""
    folder: str = ""
    where: Where | None = None
    files: dict[str, Seal] | None = None
    #: Of runs from before there was mlflow.json.
    mlflow_run_id: str | None = None
    schema: int = SCHEMA

    @property
    def place(self) -> str:
        """Where its workers lived: "threads", "processes", "processes, MPS"."""
        return f"{self.placement}, MPS" if self.mps else self.placement

    @classmethod
    def failed(cls, name: str, reason: str = "the run ended without a summary") -> Self:
        """Of a run that came to no result."""
        return cls(name=name, status=Status.FAILED, reason=reason)

    @property
    def priorities(self) -> list[int]:
        """Those that the tasks have, the most urgent first."""
        return sorted({task.priority for task in self.tasks.values()}, reverse=True)

    def value(self, figure: str) -> float | None:
        """Of a figure by its name; None where the run does not have it."""
        found = self.figures.get(figure)
        return found.value if found else None


@dataclass(frozen=True)
class Logged:
    """mlflow.json: where a run, or a sweep's parent run, is in MLflow. It comes after all other
    files and can be made again. uri: the store's, without a password. experiment: its id."""

    run_id: str
    uri: str
    experiment: str


# --- where a run comes from ----------------------------------------------------------------------


@dataclass(frozen=True)
class Code:
    """Commit of the checkout and what differs from it: a patch, which may be cut, and the checksum
    of all of it, "" for no difference. source_sha256: of all files of code, where there is no
    checkout to ask."""

    commit: str = ""
    diff: str = ""
    diff_sha256: str = ""
    source_sha256: str = ""


@dataclass(frozen=True)
class Environment:
    """The machine and the libraries; the same for every run of a process."""

    python: str = ""
    system: str = ""
    cpu: str = ""
    cores: int | None = None
    governor: str = ""
    memory_gib: float | None = None
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """How busy the machine was at one moment: a disturbed run shows here."""

    load_1min: float | None = None
    cpu_mhz: float | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """provenance.json. weights: the checksum of each file of pretrained weights."""

    time: str = ""
    where: Where | None = None
    command: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    code: Code = Code()
    environment: Environment = field(default_factory=Environment)
    xsched_variables: dict[str, str] = field(default_factory=dict)
    load_before: Load = Load()
    load_after: Load = Load()
    device: DeviceOrigin = DeviceOrigin()
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """False of a run that ended before it wrote one."""
        return bool(self.time)


# --- a sweep -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run in sweep.json. values: by swept key; None where the run does not depend on it.
    command: the one that made the run, "" if that of the sweep did. config_hash: with the repeat it
    says which measurement this is, also before the run has begun."""

    name: str = ""
    folder: str
    arm: str = ""
    repeat: int = 0
    values: dict[str, str | None] | None = None
    overrides: tuple[str, ...] = ()
    command: str = ""
    status: Status = Status.FINISHED
    reason: str = ""
    config_hash: str = ""
    #: Of sweeps from before there was mlflow.json.
    mlflow_run_id: str | None = None

    @property
    def measurement(self) -> tuple[str, int]:
        """What makes two runs of the same code and machine the same measurement."""
        return self.config_hash, self.repeat


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """sweep.json. identity: of the code and the machine that all of its runs have in common.
    command: what was typed first. swept: keys. repeats: the most that a point was to have. points:
    how many runs, repeats included."""

    runs: tuple[Entry, ...]
    identity: str = ""
    command: str = ""
    swept: tuple[str, ...] = ()
    repeats: int = 1
    points: int = 0
    schema: int = SCHEMA


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """conclusion.json: what a sweep comes to, made anew whenever something that it is made `of`, a
    digest, has changed. asked: the figure that was to decide, None for that by default. verdicts:
    sentences, what matters most first. primary: the figure that decides, "" where nothing is
    compared. table: that figure of every point, in Markdown. picture: its drawing, in the sweep's
    folder, "" for none. metrics: that figure of every point, and its ratio to the baseline's, by a
    name that MLflow takes."""

    of: str = ""
    asked: str | None = None
    verdicts: tuple[str, ...] = ()
    primary: str = ""
    table: str = ""
    picture: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
