"""From a composed configuration to the description of a trial: every value checked, everything
inherited filled in. What is wrong raises `UserError`, before any process is started."""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from models import CATALOG, ModelSpec, weights
from runner.config.arms import Arm, Client
from runner.config.arrivals import PROCESSES
from runner.config.arrivals.trace import read_trace, window_ns
from runner.config.errors import UserError
from runner.config.names import check_names
from runner.config.schema import (
    ArrivalOverride,
    Config,
    LaunchOverride,
    ModelOverride,
    TaskConfig,
    allowed_range,
)
from runner.config.spec import Arrival, TaskSpec, TrialSpec
from xsched_bindings.policies import HINTS, POLICIES
from xsched_bindings.policies.base import PRIORITY, UTILIZATION

GPU_NAMES = ("cuda", "hip")
#: Of platform.devices.
ALL = ["all"]
DEVICE = re.compile(r"\d{1,4}|(GPU|MIG)-[\w/-]+")


def as_config(composed: DictConfig) -> Config:
    """A composed configuration as typed objects."""
    return as_objects(typed(composed))


def typed(composed: DictConfig) -> DictConfig:
    """A composed configuration without Hydra's own part. Merging the plain values into the schema
    anew is what finds a key that was added with ``+``."""
    ours = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    for key in OmegaConf.missing_keys(ours):
        raise UserError(str(key), "???", "it has no value yet", remedy="give it one")
    plain = OmegaConf.to_container(ours)
    assert isinstance(plain, dict)
    merged = OmegaConf.merge(_schema(), plain)
    assert isinstance(merged, DictConfig)
    return merged


@cache
def _schema() -> DictConfig:
    return OmegaConf.structured(Config)  # type: ignore[no-any-return]  # its own kind


def as_objects(typed: DictConfig) -> Config:
    """References are looked up now, by type."""
    config = OmegaConf.to_object(typed)
    assert isinstance(config, Config)
    return config


def resolve(config: Config) -> TrialSpec:
    """Check every value and fill in what tasks inherit. What the platform decides (placement,
    scheduler, the level in effect) stays as asked; see `runner.platforms.choose.settle`."""
    check_ranges(config)
    check_names(config)
    _check_devices(config)
    task_set = config.task_set
    if not task_set.tasks:
        raise UserError("task_set.tasks", "{}", "a task set needs at least one task")
    _check_window(task_set.duration_s, config.limit_s)
    tasks = tuple(_task(config, name, task) for name, task in task_set.tasks.items())
    _check_policy(config.xsched.policy, config.xsched.k, tasks)
    _check_arm(Arm[config.arm.name], tasks)
    return TrialSpec(
        task_set=task_set.name,
        arm=Arm[config.arm.name],
        scheduler=config.xsched.scheduler,
        policy=config.xsched.policy,
        timeslice_us=config.xsched.timeslice_us,
        k=config.xsched.k,
        probes=config.xsched.probes,
        probe_work_us=config.xsched.probe_work_us,
        platform=config.platform.name,
        placement=config.platform.placement,
        device_cores=config.platform.device_cores,
        device=_device(config),
        cuda_lv3=config.xsched.cuda_lv3,
        shim=config.xsched.shim,
        companion=config.xsched.companion,
        mps=config.platform.mps == "on",
        hardware_queues=config.platform.hardware_queues,
        keep_load=task_set.keep_load,
        lead_in_s=task_set.lead_in_s,
        duration_s=task_set.duration_s,
        warmup=config.warmup,
        limit_s=config.limit_s,
        seed=config.seed + config.repeat,
        tasks=tasks,
    )


def _check_window(duration_s: float | None, limit_s: float) -> None:
    if duration_s is not None and duration_s > limit_s:
        problem = f"no window may be longer than limit_s={limit_s:g}"
        remedy = f"shorten it, or raise the limit, too: limit_s={duration_s:g}"
        raise UserError("task_set.duration_s", f"{duration_s:g}", problem, remedy=remedy)


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
    requests = task.requests or config.task_set.requests
    return TaskSpec(
        name=name,
        model=_model(config, task.model, f"{path}.model"),
        requests=requests,
        priority=task.priority,
        hints=tuple(
            (hint.name, value)
            for hint in HINTS.values()
            if hint is not PRIORITY and (value := getattr(task, hint.name)) != hint.default
        ),
        level=launch["level"],
        asked_level=launch["level"],
        threshold=launch["threshold"],
        batch_size=launch["batch_size"],
        arrival=_arrival(config, task.arrival, requests, f"{path}.arrival"),
    )


def _arrival(config: Config, own: ArrivalOverride, requests: int, path: str) -> Arrival:
    asked = _inherit(config.arrival, own)
    name = asked["process"]
    process = PROCESSES[name]
    rate_rps = _rate(config, own, name, path)
    load = asked["load"] if rate_rps is None and not process.no_rate else None
    taken = {key: asked[key] for key in process.takes}
    if "trace" in taken:
        taken["trace"] = _trace(config, own, requests, path)
    return Arrival(name, load, rate_rps, **taken)


def _rate(config: Config, own: ArrivalOverride, process: str, path: str) -> float | None:
    """The task's absolute rate, None if it has none. What the task says itself goes before what it
    inherits; two rates, or a rate that nothing comes of, said in one place are a mistake."""
    if own.load is not None and own.rate_rps is not None:
        problem = f"the task has a rate already, load={own.load:g}"
        remedy = "set one of the two to null"
        raise UserError(f"{path}.rate_rps", own.rate_rps, problem, remedy=remedy)
    no_rate = PROCESSES[process].no_rate
    if own.rate_rps is None and (own.load is not None or (own.process and no_rate)):
        return None
    rate_rps = config.arrival.rate_rps if own.rate_rps is None else own.rate_rps
    if rate_rps is not None and no_rate:
        where = "arrival" if own.rate_rps is None else path
        allowed = f"null with process {process}"
        remedy = f"leave it out, or choose another {where}.process"
        raise UserError(f"{where}.rate_rps", rate_rps, no_rate, allowed, remedy)
    return rate_rps


def _trace(config: Config, own: ArrivalOverride, requests: int, path: str) -> bytes:
    """The trace's arrival times: in the window as many as the task wants, before its limit."""
    file = own.trace or config.arrival.trace
    if not file:
        where = "arrival.trace" if own.process is None else f"{path}.trace"
        allowed = "the path of a file with one timestamp in seconds a line"
        raise UserError(where, "null", "process trace needs a file", allowed)
    where = f"{path}.trace" if own.trace else "arrival.trace"
    trace = read_trace(file, where)
    lead_in_s = config.task_set.lead_in_s
    times = window_ns(trace, lead_in_s)
    if len(times) < requests:
        count = f"{len(times)} arrivals after the lead-in of {lead_in_s:g} s"
        problem = f"{count}, and the task is to complete {requests} requests"
        remedy = "lower the task's requests (task_set.requests) or give a longer trace"
        raise UserError(where, file, problem, remedy=remedy)
    last_s = times[requests - 1] / 1e9
    if last_s > config.limit_s:
        raise UserError(
            where,
            file,
            f"request {requests} arrives {last_s:.6g} s after the lead-in, and the window ends at "
            f"limit_s={config.limit_s:g}",
            remedy="timestamps count from the start: subtract the first; or raise limit_s",
        )
    return trace


def _model(config: Config, override: ModelOverride, path: str) -> ModelSpec:
    inherited = config.model
    model = _inherit(inherited, override)
    gpu_name, gpu_batch_size = model.pop("gpu_name"), model.pop("gpu_batch_size")
    on_gpu = config.platform.name in GPU_NAMES
    model["batch_size"] = model["batch_size"] or (gpu_batch_size if on_gpu else 1)
    if override.name not in (None, inherited.name):
        model |= {"size": override.size, "pretrained": override.pretrained}
    pretrained = model.pop("pretrained")
    of_weights = f"{path if override.pretrained else 'model'}.pretrained"
    if on_gpu and gpu_name not in (None, model["name"]):
        if pretrained is not None:
            problem = f"these are weights of {model['name']}, and gpu_name makes it {gpu_name} here"
            remedy = f"model.name={gpu_name} for weights of that, or model.gpu_name=null"
            raise UserError(of_weights, pretrained, problem, remedy=remedy)
        model |= {"name": gpu_name, "size": None}
    info = CATALOG[model["name"]]
    if model["graphs"] and info.bare:
        problem = f"{model['name']} is made of bare commands, which are launched one by one"
        where = path if override.graphs else "model"
        raise UserError(f"{where}.graphs", model["graphs"], problem, "0, or a model of operators")
    if not on_gpu:
        model["graphs"] = 0
    if model["size"] is None:
        model["size"] = info.default_size
    where = path if override.name or override.size else "model"
    if not info.smallest <= model["size"] <= info.largest:
        problem = f"{model['name']} does not take that many {info.size_unit}"
        allowed = f"{info.smallest} to {info.largest}"
        raise UserError(f"{where}.size", model["size"], problem, allowed)
    if model["work_us"] and not info.bare:
        problem = f"{model['name']}'s commands have work of their own"
        allowed = "0, or model.name=synthetic"
        raise UserError(f"{where}.work_us", model["work_us"], problem, allowed)
    return ModelSpec(**model, **_weights(pretrained, of_weights, model["name"]))


def _weights(pretrained: str | None, where: str, name: str) -> dict[str, Any]:
    """What of a specification says which weights they are, with their content's checksum."""
    if pretrained is None:
        return {}
    if CATALOG[name].bare:
        allowed = "null, or a model that has some"
        raise UserError(where, pretrained, f"{name} has no weights", allowed)
    path = Path(pretrained).expanduser().absolute()
    try:
        return {"pretrained": str(path), "weights_sha256": weights.digest(path)}
    except weights.WeightsError as error:
        suffixes, names = " ".join(weights.SUFFIXES), " ".join(weights.IN_A_FOLDER)
        allowed = f"a file ({suffixes}), or a folder with one of {names}"
        remedy = "the path is absolute or from the folder that the command runs in"
        raise UserError(where, pretrained, str(error), allowed, remedy) from error


def _inherit(inherited: Any, override: Any) -> dict[str, Any]:
    """The inherited values with those of the override that are set."""
    own = {f.name: getattr(override, f.name) for f in fields(override)}
    return {
        f.name: getattr(inherited, f.name) if own.get(f.name) is None else own[f.name]
        for f in fields(inherited)
    }


def _check_policy(policy: str, k: int, tasks: Sequence[TaskSpec]) -> None:
    """A task set that the policy cannot schedule, or that it would run without ever suspending a
    queue. Of a policy that only XSched has nothing is known."""
    kind = POLICIES.get(policy)
    if kind is None:
        return
    if kind.several and len(tasks) < 2:
        problem = "it would never suspend the only task"
        raise UserError("xsched.policy", policy, problem, remedy="add a task")
    if found := kind.check(tasks, k):
        where = f"task_set.tasks.{found.task}" if found.key in HINTS else "xsched"
        allowed = found.allowed or ()
        raise UserError(f"{where}.{found.key}", found.value, found.problem, allowed, found.remedy)


def _check_devices(config: Config) -> None:
    allowed = "a number from 0, or a UUID that begins with GPU- or MIG-"
    if not DEVICE.fullmatch(device := config.platform.device):
        raise UserError("platform.device", device, "no GPU is called that", allowed)
    several = config.platform.devices
    for each in several if several != ALL else ():
        if not isinstance(each, str) or not DEVICE.fullmatch(each):
            allowed = f"all, or a list of {allowed}"
            raise UserError("platform.devices", each, "no GPU is called that", allowed)
        if several.count(each) > 1:
            raise UserError("platform.devices", each, "this GPU is there twice")


def _device(config: Config) -> str:
    """The GPU that was asked for; of several nobody knows which it will be."""
    on_gpu = config.platform.name in GPU_NAMES
    return config.platform.device if on_gpu and not config.platform.devices else ""


def _check_arm(arm: Arm, tasks: Sequence[TaskSpec]) -> None:
    """An arm that would be another one, because no task says what it goes by."""
    if arm.client is Client.share and not any(task.hint(UTILIZATION) for task in tasks):
        raise UserError(
            "arm",
            arm,
            "no task has a share of its own, so this arm is native under MPS",
            remedy=f"+task_set.tasks.{tasks[-1].name}.utilization=30, in percent of the GPU",
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
        elif isinstance(value, list):
            for number, child in enumerate(each for each in value if is_dataclass(each)):
                check_ranges(child, f"{here}.{number}")
        elif value is not None:
            choices, low, high = (spec.metadata[name] for name in ("choices", "low", "high"))
            if choices and value not in choices:
                raise UserError(here, value, "there is no such choice", choices)
            below, above = low is not None and value < low, high is not None and value > high
            if below or above or value != value:
                allowed = f"{allowed_range(spec)} {spec.metadata['unit']}".strip()
                raise UserError(here, value, "out of range", allowed)
