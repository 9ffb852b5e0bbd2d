"""The schema of conf/: the one place that knows the keys, their ranges and what they mean.

`docs/reference.md` is generated from here. `resolve` turns a composed configuration into a
`TrialSpec`, the plain description that everything behind it works from, or raises `UserError`.
"""

from collections.abc import Iterator
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

from models import CATALOG, DTYPES, ModelSpec
from runner.errors import UserError
from xsched_bindings.types import (
    PRIORITY_MAX,
    PRIORITY_MIN,
    TIMESLICE_DEFAULT_US,
    TIMESLICE_MAX_US,
    TIMESLICE_MIN_US,
    PolicyType,
    PreemptLevel,
)

ARMS = {
    "solo": "each task alone, one after another, on the same schedule",
    "urgent_only": "only the tasks of the highest priority: the floor",
    "default_stream": "all tasks in one hardware queue",
    "native": "a hardware queue each, no XSched",
    "stream_priority": "a hardware queue each with the hardware's own priority hint, no XSched",
    "xsched": "XSched",
    "xsched_null": "XSched in place with all hints equal: the null control",
}
POLICIES = [policy.name for policy in PolicyType if policy is not PolicyType.unknown]
PROCESSES = ["closed", "jitter"]


class Level(Enum):
    """XSched's `XPreemptLevel` as a configuration spells it."""

    block = 1
    deactivate = 2
    interrupt = 3


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


MODEL_NAME = "The model of a request."
BATCH_SIZE = "Inputs in a request."
SIZE = "Sequence length, image edge or number of commands; null is the model's own default."
DTYPE = "Type of weights and activations."
MODEL_SEED = "Seed of the random weights and inputs."
WORK = "Work of one command; synthetic only."
PROCESS = "How requests arrive: one after another, or with gaps uniform in [T/2, 3T/2)."
LOAD = "Arrivals as a share of the task's own solo capacity, so T = solo time / load; jitter only."
LEVEL = "What a suspended queue may still do: launch nothing new, begin nothing, run nothing."
THRESHOLD = "Most commands launched and not yet reaped."
LAUNCH_BATCH = "A synchronisation point every so many commands; at most the threshold."


@dataclass
class ModelConfig:
    """What a request computes."""

    name: str = key("bert_base", MODEL_NAME, choices=list(CATALOG))
    batch_size: int = key(1, BATCH_SIZE, low=1, high=4096)
    size: int | None = key(None, SIZE, low=0, high=100_000)
    dtype: str = key("float32", DTYPE, choices=DTYPES)
    seed: int = key(0, MODEL_SEED, low=0, high=2**31 - 1)
    work_us: int = key(0, WORK, unit="µs", low=0, high=10_000_000)


@dataclass
class ModelOverride:
    """A task's own model; null inherits. Naming another model resets its size."""

    name: str | None = key(None, MODEL_NAME, choices=list(CATALOG))
    batch_size: int | None = key(None, BATCH_SIZE, low=1, high=4096)
    size: int | None = key(None, SIZE, low=0, high=100_000)
    dtype: str | None = key(None, DTYPE, choices=DTYPES)
    seed: int | None = key(None, MODEL_SEED, low=0, high=2**31 - 1)
    work_us: int | None = key(None, WORK, unit="µs", low=0, high=10_000_000)


@dataclass
class ArrivalConfig:
    """When requests arrive."""

    process: str = key("closed", PROCESS, choices=PROCESSES)
    load: float = key(0.15, LOAD, low=0.001, high=1.0)


@dataclass
class ArrivalOverride:
    """A task's own arrivals; null inherits."""

    process: str | None = key(None, PROCESS, choices=PROCESSES)
    load: float | None = key(None, LOAD, low=0.001, high=1.0)


@dataclass
class XSchedConfig:
    """The scheduler, and the launch configuration of every queue."""

    scheduler: str = key("local", "Where decisions are made.", choices=["local", "global"])
    policy: str = key("hpf", "XSched's scheduling policy.", choices=POLICIES)
    level: Level = key(Level.block, LEVEL)
    threshold: int = key(8, THRESHOLD, unit="commands", low=1, high=4096)
    batch_size: int = key(4, LAUNCH_BATCH, unit="commands", low=1, high=4096)
    timeslice_us: int = key(
        TIMESLICE_DEFAULT_US,
        "One round of the policies that share by time.",
        unit="µs",
        low=TIMESLICE_MIN_US,
        high=TIMESLICE_MAX_US,
    )


@dataclass
class LaunchOverride:
    """A task's own queue; null inherits."""

    level: Level | None = key(None, LEVEL)
    threshold: int | None = key(None, THRESHOLD, unit="commands", low=1, high=4096)
    batch_size: int | None = key(None, LAUNCH_BATCH, unit="commands", low=1, high=4096)


@dataclass
class TaskConfig:
    """One stream of requests to one model."""

    priority: int = key(
        0, "Hint for hpf, larger is more urgent.", low=PRIORITY_MIN, high=PRIORITY_MAX
    )
    utilization: int | None = key(None, "Hint for up: share of the device.", "percent", 0, 100)
    deadline_us: int | None = key(None, "Hint for kedf, from ready to deadline.", "µs", 1)
    laxity_us: int | None = key(None, "Hint for lax: delay that does not hurt.", "µs", 0)
    requests: int | None = key(None, "Requests to complete; null takes the task set's.", low=1)
    model: ModelOverride = key(ModelOverride, "")
    arrival: ArrivalOverride = key(ArrivalOverride, "")
    xsched: LaunchOverride = key(LaunchOverride, "")


@dataclass
class TaskSetConfig:
    """The tasks that run side by side."""

    name: str = key("unnamed", "Names the MLflow experiment and the output folder.")
    requests: int = key(30, "Requests that every task completes.", low=1, high=1_000_000)
    keep_load: bool = key(
        True,
        "Whether a task that is done keeps its load up until all are done (its extra requests are "
        "flagged). Without it the others finish on an emptier device.",
    )
    tasks: dict[str, TaskConfig] = key(dict, "Task name to task.")


@dataclass
class ArmConfig:
    """How the tasks are scheduled."""

    name: str = key(
        "xsched", "; ".join(f"{a}: {doc}" for a, doc in ARMS.items()), choices=list(ARMS)
    )


@dataclass
class PlatformConfig:
    """Where commands execute."""

    name: str = key(
        "auto",
        "host: CPU cores; cuda, hip: GPUs; auto picks once for a sweep.",
        choices=["auto", "host", "cuda", "hip"],
    )
    placement: str = key(
        "auto",
        "Where workers live: threads of one process, or a process each; auto picks once for a "
        "sweep.",
        choices=["auto", "threads", "processes"],
    )
    device_cores: int = key(
        1, "host: how many CPU cores, the last ones, are the device.", low=1, high=1024
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
    seed: int = key(0, "Seed of the arrival schedules, shared by all arms.", low=0, high=2**31 - 1)
    warmup: int = key(2, "Requests of each task before the window.", low=0, high=10_000)
    limit_s: float = key(
        900.0, "Longest window; then the run is cut and says so.", "s", 0.1, 86_400
    )
    output_root: str = key("outputs", "Folder that everything is written below.")


# --- the plain description of a trial --------------------------------------------------------


@dataclass(frozen=True)
class TaskSpec:
    """One task with everything inherited filled in. load: None for a closed loop."""

    name: str
    model: ModelSpec
    requests: int
    priority: int
    utilization: int | None
    deadline_us: int | None
    laxity_us: int | None
    level: PreemptLevel
    threshold: int
    batch_size: int
    load: float | None


@dataclass(frozen=True)
class TrialSpec:
    """One arm over one task set, once. Two equal specifications ask for the same measurement."""

    task_set: str
    arm: str
    scheduler: str
    policy: str
    timeslice_us: int
    platform: str
    placement: str
    device_cores: int
    keep_load: bool
    warmup: int
    limit_s: float
    seed: int
    tasks: tuple[TaskSpec, ...]

    @property
    def uses_xsched(self) -> bool:
        return self.arm in ("xsched", "xsched_null")

    @property
    def urgent_priority(self) -> int:
        return max(task.priority for task in self.tasks)

    @property
    def priorities(self) -> list[int]:
        """The priorities that occur, most urgent first."""
        return sorted({task.priority for task in self.tasks}, reverse=True)

    @property
    def groups(self) -> list[list[int]]:
        """Indices of the tasks that run side by side, one list after another."""
        everyone = range(len(self.tasks))
        if self.arm == "solo":
            return [[index] for index in everyone]
        if self.arm == "urgent_only":
            return [[i for i in everyone if self.tasks[i].priority == self.urgent_priority]]
        return [list(everyone)]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "TrialSpec":
        tasks = tuple(
            TaskSpec(
                **task | {"model": ModelSpec(**task["model"]), "level": PreemptLevel(task["level"])}
            )
            for task in plain["tasks"]
        )
        return cls(**plain | {"tasks": tasks})

    @property
    def config_hash(self) -> str:
        """Twelve hexadecimal digits; the order of keys and spelled-out defaults do not change it,
        nor do places (output, tracking) that cannot change a measurement."""
        import hashlib  # here, for an error message can do without them
        import json

        canonical = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


# --- from a composed configuration to a trial -------------------------------------------------


def resolve(config: Config) -> TrialSpec:
    """Check every value and fill in what tasks inherit. Platform and placement stay as asked."""
    check_ranges(config)
    task_set = config.task_set
    if not task_set.tasks:
        raise UserError("task_set.tasks", "{}", "a task set needs at least one task")
    tasks = tuple(_task(config, name, task) for name, task in task_set.tasks.items())
    if config.xsched.policy == "up":
        _check_utilization(tasks)
    return TrialSpec(
        task_set=task_set.name,
        arm=config.arm.name,
        scheduler=config.xsched.scheduler,
        policy=config.xsched.policy,
        timeslice_us=config.xsched.timeslice_us,
        platform=config.platform.name,
        placement=config.platform.placement,
        device_cores=config.platform.device_cores,
        keep_load=task_set.keep_load,
        warmup=config.warmup,
        limit_s=config.limit_s,
        seed=config.seed,
        tasks=tasks,
    )


def _task(config: Config, name: str, task: TaskConfig) -> TaskSpec:
    path = f"task_set.tasks.{name}"
    launch = _inherit(config.xsched, task.xsched)
    if launch["batch_size"] > launch["threshold"]:
        where = "xsched" if task.xsched == LaunchOverride() else f"{path}.xsched"
        raise UserError(
            f"{where}.batch_size",
            launch["batch_size"],
            f"must not exceed the threshold ({launch['threshold']}): the queue would wait for a "
            "synchronisation point that it never launches",
            allowed=f"1 to {launch['threshold']}",
            remedy=f"lower {where}.batch_size or raise {where}.threshold",
        )
    arrival = _inherit(config.arrival, task.arrival)
    return TaskSpec(
        name=name,
        model=_model(config.model, task.model, f"{path}.model"),
        requests=task.requests or config.task_set.requests,
        priority=task.priority,
        utilization=task.utilization,
        deadline_us=task.deadline_us,
        laxity_us=task.laxity_us,
        level=PreemptLevel[launch["level"].name],
        threshold=launch["threshold"],
        batch_size=launch["batch_size"],
        load=None if arrival["process"] == "closed" else arrival["load"],
    )


def _model(inherited: ModelConfig, override: ModelOverride, path: str) -> ModelSpec:
    model = _inherit(inherited, override)
    if override.name not in (None, inherited.name):
        model["size"] = override.size
    info = CATALOG[model["name"]]
    if model["size"] is None:
        model["size"] = info.default_size
    where = path if override.name or override.size else "model"
    if not info.smallest <= model["size"] <= info.largest:
        raise UserError(
            f"{where}.size",
            model["size"],
            f"{model['name']} does not take that many {info.size_unit}",
            allowed=f"{info.smallest} to {info.largest}",
        )
    if model["work_us"] and info.family != "synthetic":
        raise UserError(
            f"{where}.work_us",
            model["work_us"],
            f"{model['name']}'s commands have work of their own",
            allowed="0, or model.name=synthetic",
        )
    return ModelSpec(**model)


def _inherit(inherited: Any, override: Any) -> dict[str, Any]:
    """The inherited values with those of the override that are set."""
    own = {f.name: getattr(override, f.name) for f in fields(override)}
    return {
        f.name: getattr(inherited, f.name) if own.get(f.name) is None else own[f.name]
        for f in fields(inherited)
    }


def _check_utilization(tasks: tuple[TaskSpec, ...]) -> None:
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


def check_ranges(node: Any, path: str = "") -> None:
    """Every key's value against its range and choices, depth first."""
    for spec in fields(node):
        value, here = getattr(node, spec.name), f"{path}.{spec.name}".lstrip(".")
        if is_dataclass(value):
            check_ranges(value, here)
        elif isinstance(value, dict):
            for name, child in value.items():
                check_ranges(child, f"{here}.{name}")
        elif value is not None:
            _check_value(spec, here, value)


def _check_value(spec: Field[Any], path: str, value: Any) -> None:
    choices, low, high = (spec.metadata[name] for name in ("choices", "low", "high"))
    if choices and value not in choices:
        raise UserError(path, value, "there is no such choice", choices)
    below, above = low is not None and value < low, high is not None and value > high
    if below or above or value != value:
        raise UserError(path, value, "out of range", allowed_range(spec))


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


def walk(node: type[Any], path: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """The leaves of the schema with their dotted paths, in order of declaration."""
    for spec in fields(node):
        here = f"{path}.{spec.name}".lstrip(".")
        if spec.name == "tasks":
            yield from walk(TaskConfig, f"{here}.<name>")
        elif spec.default is MISSING and is_dataclass(spec.default_factory):
            yield from walk(spec.default_factory, here)
        else:
            yield here, spec
