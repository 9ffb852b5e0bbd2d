"""From a composed configuration to the description of a trial: every value checked, everything
inherited filled in. What is wrong raises `UserError`, before any process is started."""

from dataclasses import Field, fields, is_dataclass
from typing import Any

from models import CATALOG, ModelSpec
from runner.config import (
    Config,
    LaunchOverride,
    ModelOverride,
    TaskConfig,
    allowed_range,
)
from runner.errors import UserError
from runner.spec import TaskSpec, TrialSpec
from xsched_bindings.types import PreemptLevel

GPU_NAMES = ("cuda", "hip")


def resolve(config: Config) -> TrialSpec:
    """Check every value and fill in what tasks inherit. What the platform decides (placement,
    scheduler, the level in effect) stays as asked; see `runner.platforms.settle`."""
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
        cuda_lv3=config.xsched.cuda_lv3,
        shim=config.xsched.shim,
        mps=config.platform.mps == "on",
        keep_load=task_set.keep_load,
        warmup=config.warmup,
        limit_s=config.limit_s,
        seed=config.seed,
        tasks=tasks,
    )


def _task(config: Config, name: str, task: TaskConfig) -> TaskSpec:
    path = f"task_set.tasks.{name}"
    launch = _inherit(config.xsched, task.xsched)
    launch["batch_size"] = launch["batch_size"] or max(1, launch["threshold"] // 2)
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
        model=_model(config, task.model, f"{path}.model"),
        requests=task.requests or config.task_set.requests,
        priority=task.priority,
        utilization=task.utilization,
        deadline_us=task.deadline_us,
        laxity_us=task.laxity_us,
        level=PreemptLevel[launch["level"].name],
        asked_level=PreemptLevel[launch["level"].name],
        threshold=launch["threshold"],
        batch_size=launch["batch_size"],
        load=None if arrival["process"] == "closed" else arrival["load"],
    )


def _model(config: Config, override: ModelOverride, path: str) -> ModelSpec:
    inherited = config.model
    model = _inherit(inherited, override)
    gpu_batch_size = model.pop("gpu_batch_size")
    on_gpu = config.platform.name in GPU_NAMES
    model["batch_size"] = model["batch_size"] or (gpu_batch_size if on_gpu else 1)
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
