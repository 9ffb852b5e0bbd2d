"""Sweeps that never ran: folders as the runner writes them, around made-up timestamps."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.config.resolve import resolve
from runner.config.schema import ArrivalOverride, Config, TaskConfig
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.device import DeviceOrigin
from runner.proof.checks import Check, Proof, Verdict
from runner.runs import files
from runner.runs.record import Code, Entry, Environment, Load, Provenance, SweepRecord
from runner.runs.summary import summarise
from runner.trial.run import TrialResult
from runner.trial.status import Status

MS = 1_000_000
START_NS = 7_000_000_000_000
SOLO_MS = 10.0
ORIGIN = Provenance(
    time="2026-03-01T10:00:00+00:00",
    command=("python", "-m", "runner", "task_set=made_up"),
    code=Code("0123456789abcdef", "--- a\n+++ b\n"),
    environment=Environment(
        python="3.11.7",
        system="Linux-6.1",
        cpu="A processor & more",
        cores=8,
        governor="performance",
        memory_gib=32.0,
        libraries={"torch": "2.13.0+cpu", "numpy": "2.4.6"},
    ),
    load_before=Load(0.5, 2300.0),
    load_after=Load(1.5, 2300.0),
    device=DeviceOrigin(device_cores=(7,)),
)
#: How much longer than solo an urgent request takes, by arm, at the smallest threshold.
SLOWDOWN = {"solo": 1.0, "native": 4.0, "xsched": 1.3, "xsched_null": 4.0}

Swept = Mapping[str, Sequence[str]]


def sweep(
    root: Path,
    swept: Swept,
    repeats: int = 1,
    requests: int = 100,
    policy: str = "hpf",
    broken: Sequence[str] = (),
    beside: int = 1,
    name: str = "made_up-20260301-100000",
) -> Path:
    """The folder of a sweep over all combinations; arm is native unless it is swept. broken: names
    of runs whose proof fails. beside: how many tasks the urgent one has beside it."""
    folder = root / name
    folder.mkdir(parents=True)
    entries: list[Entry] = []
    for number, values in itertools.product(range(repeats), _combinations(swept)):
        config = _config(dict(values), number, requests, policy, beside)
        entry = _run(folder, dict(values), config, broken, len(entries))
        if entry not in entries:
            entries.append(entry)
    record = SweepRecord(
        runs=tuple(entries),
        command="python -m runner task_set=made_up -m …",
        swept=tuple(swept),
        repeats=repeats,
        points=len(entries),
    )
    files.write_json(folder / files.SWEEP, record)
    return folder


def _combinations(swept: Swept) -> list[list[tuple[str, str]]]:
    keys = [[(key, value) for value in values] for key, values in swept.items()]
    return [list(each) for each in itertools.product(*keys)]


def _run(
    sweep_folder: Path, swept: dict[str, str], config: Config, broken: Sequence[str], seed: int
) -> Entry:
    trial = resolve(config)
    values = {
        key: value if trial.uses_xsched or not key.startswith("xsched.") else None
        for key, value in swept.items()
    }
    name = "-".join(value for value in values.values() if value) + f"-r{config.repeat}"
    folder = sweep_folder / name
    proof = _proof(trial, failed=name in broken)
    result = _result(trial, proof, int(values.get("xsched.threshold") or 4), seed)
    if not folder.exists():
        folder.mkdir()
        files.write_config(folder, config, trial)
        summary = replace(
            summarise(trial, result, name),
            sweep=sweep_folder.name,
            folder=str(folder),
            as_expected=name not in broken,
        )
        files.keep(folder, summary, result.proof, result.requests, (), result.events, ORIGIN)
    return Entry(
        name=name,
        folder=name,
        arm=trial.arm,
        repeat=config.repeat,
        values=values,
        status=result.status,
        reason=result.reason,
    )


def _config(values: dict[str, str], repeat: int, requests: int, policy: str, beside: int) -> Config:
    config = Config(repeat=repeat)
    config.arm.name = values.get("arm", "native")
    config.platform.name, config.platform.placement = "host", "threads"
    config.xsched.policy = policy
    config.xsched.threshold = int(values.get("xsched.threshold", 8))
    config.xsched.batch_size = int(values.get("xsched.batch_size", 1))
    config.task_set.name, config.task_set.requests = "made_up", requests
    closed, coming = ArrivalOverride("closed"), ArrivalOverride("jitter", 0.2)
    shares = policy == "up"
    config.task_set.tasks["urgent"] = TaskConfig(
        priority=1,
        utilization=60 if shares else None,
        arrival=closed if shares else coming,
    )
    for number in range(1, beside + 1):
        config.task_set.tasks[f"background-{number}"] = TaskConfig(
            utilization=40 // beside if shares else None, arrival=closed
        )
    return config


def _proof(trial: TrialSpec, failed: bool) -> Proof:
    if not trial.uses_xsched:
        return Proof()
    remedy = "" if not failed else "Put the shim in place"
    return Proof((Check("intercepted", not failed, "the queues saw 3 of 60 commands", remedy),))


def _result(trial: TrialSpec, proof: Proof, threshold: int, seed: int) -> TrialResult:
    random = np.random.default_rng(seed)
    slow = SLOWDOWN[trial.arm] + (threshold / 8 if trial.arm == "xsched" else 0)
    requests = [_requests(task, slow, random) for task in trial.tasks]
    events: dict[str, list[Any]] = {"at_ns": [], "event": [], "task": [], "completed": []}
    if trial.arm == "xsched":
        events = _events(requests)
    return TrialResult(
        Status.FAILED if proof.verdict is Verdict.FAILED else Status.FINISHED,
        proof.failure,
        requests,
        {task.model: SOLO_MS / 1e3 for task in trial.tasks},
        proof,
        saturation=0.97,
        preemptions=len(requests[0].completed) if trial.arm == "xsched" else 0,
        timing_s={"window": 1.0},
        events=events,
    )


def _requests(task: TaskSpec, slow: float, random: np.random.Generator) -> TaskRequests:
    longer = (slow if task.priority else 2.0) * random.lognormal(0, 0.2, task.requests)
    service = (SOLO_MS * MS * longer).astype(np.int64)
    if task.closed:
        completed = np.cumsum(service)
        scheduled = started = completed - service
    else:
        gaps = random.uniform(0.5, 1.5, task.requests) * SOLO_MS * MS / 0.2
        scheduled = np.cumsum(gaps).astype(np.int64)
        completed = _one_after_another(scheduled, service)
        started = completed - service
    warmup = np.array([[-30, -30, -10]]) * MS
    return TaskRequests(
        task.name, task.priority, task.requests, scheduled, started, completed, warmup, START_NS
    )


def _one_after_another(
    scheduled: NDArray[np.int64], service: NDArray[np.int64]
) -> NDArray[np.int64]:
    ends, free = [], 0
    for due, lasts in zip(scheduled, service, strict=True):
        free = max(free, int(due)) + int(lasts)
        ends.append(free)
    return np.array(ends)


def _events(requests: list[TaskRequests]) -> dict[str, list[Any]]:
    """The other queues are suspended while an urgent request runs."""
    urgent, *others = requests
    lines = []
    for started, completed in zip(urgent.started, urgent.completed, strict=True):
        lines += [(started + 20_000, "ready", urgent.name), (completed, "idle", urgent.name)]
        for other in others:
            lines += [(started + 90_000, "suspend", other.name)]
            lines += [(completed + 50_000, "resume", other.name)]
    at_ns, names, tasks = zip(*sorted((int(at), *rest) for at, *rest in lines), strict=True)
    return {
        "at_ns": [at + START_NS for at in at_ns],
        "event": list(names),
        "task": list(tasks),
        "completed": list(range(len(at_ns))),
    }


def edit(run: Path, **changes: Any) -> None:
    """Change fields of the summary in a run's folder."""
    summary = files.read_summary(run)
    assert summary is not None
    files.write_json(run / files.SUMMARY, replace(summary, **changes))
