"""The schema of conf/: the one place that knows the keys, their ranges and what they mean.

`docs/reference.md` is generated from here. `runner.config.resolve` checks a composed configuration
against it and turns it into a `runner.config.spec.TrialSpec`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, make_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from models import CATALOG, DTYPES
from runner.config.arms import Arm
from runner.config.arrivals import PROCESSES
from xsched_bindings.policies import HINTS, POLICIES
from xsched_bindings.types import (
    TIMESLICE_DEFAULT_US,
    TIMESLICE_MAX_US,
    TIMESLICE_MIN_US,
    PolicyType,
    PreemptLevel,
)

XSCHEDS_POLICIES = [policy.name for policy in PolicyType if policy is not PolicyType.unknown]
POLICY_NAMES = [*XSCHEDS_POLICIES, *sorted(set(POLICIES) - set(XSCHEDS_POLICIES))]
#: The modules of `runner.platforms.kinds`, which are not imported to be listed.
_KINDS = Path(__file__).parents[1] / "platforms" / "kinds"
PLATFORMS = sorted(each.stem for each in _KINDS.glob("[!_]*.py"))

#: Who gives it means another key, `sweep.repeats`.
SET_BY_THE_SWEEP = "repeat"

T = TypeVar("T")


def key(
    default: Any,
    doc: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | list[str] = (),
) -> Any:
    """A key of the configuration with what the reference and the range check need."""
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": tuple(choices)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


LEVEL = "What a suspended queue may still do: launch nothing new, begin nothing, run nothing."
THRESHOLD = "Most commands launched and not yet reaped."
LAUNCH_BATCH = "A synchronisation point every so many commands; at most the threshold."
HALF = " null is half of the threshold."


def all_optional(keys: type[Any]) -> type[Any]:
    """Makes a subclass of a group's keys a task's own values of them: null, which inherits, unless
    given. (Type checkers go on seeing the types that the group declares.)"""
    types = get_type_hints(keys)
    own = [
        (each.name, types[each.name] | None, field(default=None, metadata=each.metadata))
        for each in fields(keys)
    ]
    said = {"__module__": keys.__module__, "__doc__": keys.__doc__}
    return make_dataclass(keys.__name__, own, bases=(keys,), namespace=said)


@dataclass
class ModelConfig:
    """What a request computes."""

    name: str = key("bert_base", "The model of a request.", choices=list(CATALOG))
    batch_size: int | None = key(
        None, "Inputs in a request; null is 1 on host and gpu_batch_size on a GPU.", "", 1, 4096
    )
    gpu_name: str | None = key(
        None,
        "The model on a GPU, at its own default size; null is the same as elsewhere.",
        choices=list(CATALOG),
    )
    gpu_batch_size: int = key(
        64,
        "Inputs in a request that make a GPU the bottleneck, not the host that feeds it.",
        low=1,
        high=4096,
    )
    size: int | None = key(
        None,
        "Sequence length, image edge or number of commands; null is the model's own default.",
        low=0,
        high=100_000,
    )
    dtype: str = key("float32", "Type of weights and activations.", choices=DTYPES)
    seed: int = key(0, "Seed of the random weights and inputs.", low=0, high=2**31 - 1)
    work_us: int = key(0, "Work of one command; synthetic only.", "µs", 0, 10_000_000)
    graphs: int = key(
        0,
        "GPUs: a request is captured as so many graphs of equally many operators, and each is one "
        "command: fewer are quicker to launch and slower to preempt. 0 launches every operator.",
        "graphs",
        0,
        4096,
    )
    pretrained: str | None = key(
        None,
        "Path of local weights: a .safetensors file, a state dict as .pt, .pth or .bin, or a "
        "Hugging Face folder; null is random weights.",
    )


@all_optional
class ModelOverride(ModelConfig):
    """A task's own model. Naming another model resets its size and weights."""


@dataclass
class ArrivalConfig:
    """When requests arrive."""

    process: str = key(
        "closed",
        "How requests arrive, T the mean gap. "
        f"{'; '.join(f'{name}: {process.doc}' for name, process in sorted(PROCESSES.items()))}.",
        choices=sorted(PROCESSES),
    )
    load: float = key(
        0.15,
        "Arrivals as a share of the task's own solo capacity: T = solo time / load. Above 1 the "
        "queue grows without bound, and the run says so.",
        "share",
        0.001,
        10.0,
    )
    rate_rps: float | None = key(
        None,
        "Arrivals in absolute numbers, in place of load: T = 1 / rate_rps; null is load.",
        "1/s",
        0.001,
        100_000,
    )
    sigma: float = key(
        1.0, "lognormal: standard deviation of the gap's logarithm; the mean gap stays T.", "", 0, 4
    )
    cv: float = key(
        2.0,
        "gamma: standard deviation of a gap by its mean; 1 is poisson, above it arrivals clump.",
        low=0.01,
        high=10,
    )
    burst_size: int = key(4, "burst: requests that arrive at once.", "requests", 1, 10_000)
    in_flight: int = key(
        1,
        "closed: requests that are enqueued at once, so that a queue does not run dry between two.",
        "requests",
        1,
        64,
    )
    trace: str | None = key(
        None,
        "trace: path of a file with one timestamp a line, in seconds after the start of the "
        "lead-in, ascending; lines that start with # are skipped.",
    )


@all_optional
class ArrivalOverride(ArrivalConfig):
    """A task's own arrivals. A load of its own goes before an inherited rate."""


@dataclass
class XSchedConfig:
    """The scheduler, and the launch configuration of every queue."""

    scheduler: str = key(
        "auto",
        "Where decisions are made: local, in the process; global, in XSched's server; auto follows "
        "the placement (threads: local, processes: global).",
        choices=["auto", "local", "global"],
    )
    policy: str = key("hpf", "Scheduling policy.", choices=POLICY_NAMES)
    level: PreemptLevel = key(PreemptLevel.block, LEVEL)
    threshold: int = key(8, THRESHOLD, unit="commands", low=1, high=4096)
    batch_size: int | None = key(4, LAUNCH_BATCH + HALF, unit="commands", low=1, high=4096)
    timeslice_us: int = key(
        TIMESLICE_DEFAULT_US,
        "One round of policy up; cfs and mlfq have slices of their own.",
        unit="µs",
        low=TIMESLICE_MIN_US,
        high=TIMESLICE_MAX_US,
    )
    k: int = key(1, "kedf: how many queues run at once.", unit="queues", low=1, high=4096)
    probes: int = key(
        2, "Suspensions of each queue that prove the level and time it.", "", 1, 10_000
    )
    probe_work_us: int = key(
        500, "Work of a command of these probes.", unit="µs", low=100, high=100_000
    )
    on_unsupported_level: str = key(
        "error",
        "A level that the device does not have: error, or degrade to the highest that it has (the "
        "run records both).",
        choices=["error", "degrade"],
    )
    cuda_lv3: str = key(
        "trap",
        "cuda: how level interrupt is done: trap, the trap handler that only some GPUs have; tsg, "
        "taking the process's time slice of any GPU away: in placement processes alone, and beside "
        "other tasks, for a process that has the GPU to itself goes on without one.",
        choices=["trap", "tsg"],
    )
    shim: bool = key(
        True,
        "GPUs: whether XSched's shim is in place. Without it nothing passes through the queues and "
        "the run is refused; that is what the setting is there to show.",
    )
    companion: bool = key(
        True,
        "hip: whether what XSched's shim lets past the queues goes through them by a companion "
        "library, which is compiled on first use. Without it matrix products go past.",
    )
    home: str | None = key(
        None,
        "GPUs: folder of the XSched installation, on the command line alone, as it is code; null "
        "is XSCHED_HOME, else the loader's path.",
    )


@dataclass
class LaunchOverride:
    """A task's own queue; null inherits."""

    level: PreemptLevel | None = key(None, LEVEL)
    threshold: int | None = key(None, THRESHOLD, unit="commands", low=1, high=4096)
    batch_size: int | None = key(None, LAUNCH_BATCH, unit="commands", low=1, high=4096)


def _with_hints(cls: type[T]) -> type[T]:
    """The class with a field for every hint that a policy declares, before its own."""
    for hint in HINTS.values():
        setattr(cls, hint.name, key(hint.default, hint.doc, hint.unit, hint.low, hint.high))
    types = {hint.name: int | None if hint.default is None else int for hint in HINTS.values()}
    cls.__annotations__ = types | cls.__annotations__
    return cls


@dataclass
@_with_hints
class TaskConfig:
    """One stream of requests to one model."""

    priority: int  # a hint, of which the runner itself speaks
    requests: int | None = key(None, "Requests to complete; null takes the task set's.", low=1)
    model: ModelOverride = key(ModelOverride, "")
    arrival: ArrivalOverride = key(ArrivalOverride, "")
    xsched: LaunchOverride = key(LaunchOverride, "")


@dataclass
class TaskSetConfig:
    """The tasks that run side by side."""

    name: str = key("unnamed", "Names the MLflow experiment and the output folder.")
    requests: int = key(
        30, "Requests that every task completes after the lead-in.", low=1, high=1_000_000
    )
    lead_in_s: float = key(
        1.0,
        "Length of the lead-in, in which all tasks run side by side as in the window that follows: "
        "requests that arrive in it are in no figure. 0 is none.",
        "s",
        0,
        3600,
    )
    duration_s: float | None = key(
        None,
        "Length of the window, in place of `requests`: what completes in it counts. null ends it "
        "with the requests.",
        "s",
        0.1,
        86_400,
    )
    keep_load: bool = key(
        True,
        "Whether a task that is done keeps its load up until all are done (its extra requests are "
        "flagged). Without it the others finish on an emptier device.",
    )
    check: bool = key(
        False,
        "Whether the set is there to see if everything works: a single run of it is run each time, "
        "also if it is there already.",
    )
    tasks: dict[str, TaskConfig] = key(dict, "Task name to task.")


@dataclass
class ArmConfig:
    """How the tasks are scheduled."""

    name: str = key(
        Arm.xsched.value, "; ".join(f"{arm}: {arm.doc}" for arm in Arm), choices=list(Arm)
    )


@dataclass
class PlatformConfig:
    """Where commands execute."""

    name: str = key(
        "auto",
        "host: CPU cores; cuda, hip: GPUs; auto picks once for a sweep.",
        choices=["auto", *PLATFORMS],
    )
    placement: str = key(
        "auto",
        "Where workers live: threads of one process, or a process each. auto picks one that all "
        "arms of a sweep can use: processes where MPS can be had, else threads.",
        choices=["auto", "threads", "processes"],
    )
    device_cores: int = key(
        1, "host: how many CPU cores, the last ones, are the device.", low=1, high=1024
    )
    device: str = key(
        "0",
        "GPUs: number of the GPU, in the order of the bus; NVIDIA's also by its UUID or that of a "
        "MIG instance, as nvidia-smi -L tells them. Of an allocation (CUDA_VISIBLE_DEVICES, "
        "ROCR_VISIBLE_DEVICES) the number within it.",
    )
    devices: list[str] = key(
        list,
        "GPUs: several that a sweep's repeats are spread over, as platform.device names one: "
        "[0,1], or all; one trial a GPU at a time, and each repeat on one GPU. CPU cores are "
        "shared out among them.",
    )
    wait: bool = key(
        True,
        "Whether to take turns with other commands that use the device, or to refuse a sweep while "
        "one does.",
    )
    mps: str = key(
        "auto",
        "cuda, processes: NVIDIA's Multi-Process Service, by the daemon that runs or one of the "
        "trial's own. auto uses it where it can be had; off: processes take turns on the GPU.",
        choices=["auto", "on", "off"],
    )
    hardware_queues: int = key(
        8,
        "hip: hardware queues that a process's streams share (GPU_MAX_HW_QUEUES), in every arm. "
        "Streams that share one wait for each other, whatever their priority; ROCm's default is 4.",
        low=1,
        high=64,
    )
    server: str | None = key(
        None,
        "GPUs, processes: host:port of a running xserver; null starts one for every trial.",
    )


@dataclass
class ExpectConfig:
    """One thing that an experiment is meant to show, judged over its repeats."""

    what: str = key("", "The claim in words.")
    metric: str = key(
        "p99_ms/highest",
        "The figure: metric/scope as runner.compare takes it, also of the highest or lowest "
        "priority; with equals a text of summary.json (proof, priority, status, ...).",
    )
    of: str = key("", "Whose figure, as swept: arm=xsched xsched.threshold=64.")
    to: str = key(
        "",
        "Whose figure it is divided by, in the same repeat, or for a figure that may be zero what "
        "is subtracted from it; empty for none.",
    )
    proportional_to: str = key(
        "",
        "Swept keys whose product the figure is claimed to be proportional to; judged is the power "
        "with which it grows, the slope of log on log over the runs of a repeat: 0.9 to 1.1, say.",
    )
    at_least: float | None = key(None, "The least that meets the claim.")
    at_most: float | None = key(None, "The most that meets it.")
    equals: str | None = key(None, "For a text of summary.json: its value.")
    platform: str | None = key(
        None, "The platform that it is claimed for; null is any.", choices=PLATFORMS
    )


@dataclass
class SweepConfig:
    """How the points of a sweep are run. Taken from the first point."""

    repeats: int = key(
        1, "Runs of every point, each with schedules of its own, shared by its arms.", "", 1, 1000
    )
    order: str = key(
        "auto",
        "Of the points in each repeat: given, or balanced, so that over the repeats each comes as "
        "often before another as after it; auto balances if there are repeats.",
        choices=["auto", "given", "balanced"],
    )
    primary: str | None = key(
        None,
        "The one figure that decides in a comparison of the arms, declared before they run: "
        "metric/scope as runner.compare takes it (p50_ms/urgent, throughput_rps/priority_0); null "
        "is p99 of the highest priority, p90 below 200 requests. All others are secondary.",
    )
    wait: bool = key(
        True,
        "Whether a command waits while another one is at the folder that it goes on in, or is "
        "refused.",
    )
    resume: bool = key(
        True,
        "Whether a sweep goes on in a folder that has some of its runs (same measurement, code, "
        "environment) and runs only what is missing or failed there; false runs all anew.",
    )
    skip_invalid: bool = key(
        False,
        "Whether combinations of swept values that cannot be (a batch above the threshold) are "
        "left out and named, or refuse the whole sweep.",
    )


@dataclass
class TrackingConfig:
    """Where runs are logged besides their folders."""

    backend: str = key("mlflow", "mlflow, or none for folders alone.", choices=["mlflow", "none"])
    uri: str | None = key(
        None, "Tracking store; null is MLFLOW_TRACKING_URI, else SQLite below output_root."
    )
    experiment: str | None = key(None, "MLflow experiment; null is the task set's name.")


@dataclass
class Config:
    """A point of a sweep."""

    task_set: TaskSetConfig = key(TaskSetConfig, "")
    model: ModelConfig = key(ModelConfig, "")
    arm: ArmConfig = key(ArmConfig, "")
    xsched: XSchedConfig = key(XSchedConfig, "")
    platform: PlatformConfig = key(PlatformConfig, "")
    arrival: ArrivalConfig = key(ArrivalConfig, "")
    tracking: TrackingConfig = key(TrackingConfig, "")
    sweep: SweepConfig = key(SweepConfig, "")
    dry_run: bool = key(False, "Whether only to print the trials, their order and the minutes.")
    repeat: int = key(0, "Number of the repeat; the sweep sets it.", low=0, high=1000)
    expect: list[ExpectConfig] = key(list, "What the experiment is meant to show.")
    outcome: str = key(
        "result",
        "How the run is meant to end: with a result, or with the refusal of one (a negative "
        "control: then a refusal is a success, and a result is a failure).",
        choices=["result", "refusal"],
    )
    seed: int = key(
        0, "Seed of the arrival schedules, shared by all arms of a repeat.", low=0, high=2**31 - 1
    )
    warmup: int = key(
        2,
        "Least requests of each task, alone, before the lead-in; more follow until two medians "
        "agree. 0 is none.",
        low=0,
        high=10_000,
    )
    limit_s: float = key(
        900.0,
        "Longest window, without its lead-in; then the run is cut and says so.",
        "s",
        0.1,
        86_400,
    )
    output_root: str = key("outputs", "Folder that everything is written below.")


def allowed_range(spec: Field[Any]) -> str:
    """The range of a key in words, "" if it has none."""
    low, high = spec.metadata["low"], spec.metadata["high"]
    if low is None:
        return ""
    return f"{low} to {high}" if high is not None else f"{low} or more"


def all_keys() -> Iterator[str]:
    """Every key of the schema, dotted; a task's are listed below ``task_set.tasks.<name>``."""
    for path, _ in walk(Config):
        yield path


def keys_and_groups() -> list[str]:
    """What somebody may have meant by a key that there is not: every key but `SET_BY_THE_SWEEP`,
    and the groups that they are in."""
    keys = [known for known in all_keys() if known != SET_BY_THE_SWEEP]
    parts = [known.split(".") for known in keys]
    groups = (".".join(each[:length]) for each in parts for length in range(1, len(each)))
    return [*keys, *(group for group in dict.fromkeys(groups) if not group.endswith(">"))]


def is_key(asked: str) -> bool:
    """Whether a dotted path leads to a key or to a group of keys."""
    return is_path(asked.split("."))


def is_path(names: Sequence[str]) -> bool:
    """Likewise by the names that lead there, in which a task's may have dots."""
    return any(_leads_to(names, known) for known in _paths())


def is_leaf(names: Sequence[str]) -> bool:
    """Whether they lead to a key that holds a value."""
    return any(len(names) == len(known) and _leads_to(names, known) for known in _paths())


def takes_list(names: Sequence[str]) -> bool:
    """Whether they lead to a key whose value is a list."""
    return any(
        spec.default_factory is list
        for known, spec in _paths().items()
        if len(names) == len(known) and _leads_to(names, known)
    )


def keys_in(group: Sequence[str]) -> list[str]:
    """The names in a group of keys; [] for what is none."""
    longer = [known for known in _paths() if len(known) > len(group) and _leads_to(group, known)]
    return list(dict.fromkeys(known[len(group)] for known in longer))


def unit_of(path: Sequence[str]) -> str:
    """The unit of the key that these names lead to; "" if it has none, or is no key."""
    for known, spec in _paths().items():
        if len(path) == len(known) and _leads_to(path, known):
            return str(spec.metadata["unit"])
    return ""


@cache
def _paths() -> dict[tuple[str, ...], Field[Any]]:
    return {tuple(path.split(".")): spec for path, spec in walk(Config)}


def _leads_to(path: Sequence[str], known: Sequence[str]) -> bool:
    pairs = zip(path, known, strict=False)
    return len(path) <= len(known) and all(b in (a, "<name>", "<number>") for a, b in pairs)


def walk(node: type[Any], path: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """The leaves of the schema with their dotted paths, in order of declaration."""
    for spec in fields(node):
        here = f"{path}.{spec.name}".lstrip(".")
        if spec.name == "tasks":
            yield from walk(TaskConfig, f"{here}.<name>")
        elif spec.name == "expect":
            yield from walk(ExpectConfig, f"{here}.<number>")
        elif spec.default is MISSING and is_dataclass(spec.default_factory):
            yield from walk(spec.default_factory, here)
        else:
            yield here, spec
