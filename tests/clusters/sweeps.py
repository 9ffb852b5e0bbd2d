"""A sweep of four repeats of three arms, what is killed while it runs, and what must be true of it
afterwards."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from mlflow import MlflowClient

from runner.runs.load import load
from runner.runs.sweep import Sweep
from runner.trial.status import Status
from tests.clusters.nodes import Cluster
from tests.conftest import command
from tests.faults import whole

REPEATS, ARMS = 4, ("solo", "native", "xsched")
SWEEP = (
    *("task_set=smoke", "platform=host", "task_set.requests=3", "task_set.check=false"),
    *("warmup=1", f"sweep.repeats={REPEATS}", f"arm={','.join(ARMS)}"),
)
#: No command may take longer, whatever was killed: it would hang.
LIMIT_S = 240.0


class Nodes(Protocol):
    """A cluster of two nodes that runs a job on each."""

    launcher: tuple[str, ...]
    environment: dict[str, str]

    def running(self) -> dict[str, tuple[str, int]]: ...

    def kill_job(self, name: str) -> None: ...

    def kill_node(self, node: str) -> None: ...

    def restore(self) -> None: ...


def start(cluster: Cluster, folder: Path, log: str = "log") -> "subprocess.Popen[bytes]":
    launcher = (*cast(Nodes, cluster).launcher, f"tracking.uri={store(folder)}")
    return start_by(launcher, cluster.environment, folder, log)


def start_by(
    launcher: Sequence[str],
    variables: Mapping[str, str],
    folder: Path,
    log: str = "log",
    sweep: Sequence[str] = SWEEP,
) -> "subprocess.Popen[bytes]":
    """The sweep, in the background. launcher: arguments that choose it."""
    folder.mkdir(exist_ok=True)
    given = (*sweep, *launcher, f"output_root={folder / 'out'}")
    with (folder / log).open("wb") as said:
        return subprocess.Popen(
            command(*given),
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def ended(process: "subprocess.Popen[bytes]", folder: Path, log: str = "log") -> int:
    """Its exit code. Raises AssertionError if it hangs, or ends with a traceback."""
    try:
        code = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"it hangs:\n{said(folder, log)}") from None
    assert "Traceback" not in said(folder, log), said(folder, log)
    return code


def said(folder: Path, log: str = "log") -> str:
    return (folder / log).read_text()


# ------------------------------------------------------------------- what must be true


def check(folder: Path, repeats: int = REPEATS, arms: Sequence[str] = ARMS) -> Sweep:
    """All runs are there, once; what is compared has device and loads in common."""
    whole.all_whole(folder / "out", repeats * len(arms))
    (place,) = (path.parent for path in (folder / "out").glob("*/sweep.json"))
    sweep = load(place)
    assert sorted((run.repeat, run.arm) for run in sweep) == sorted(
        (repeat, arm) for repeat in range(repeats) for arm in arms
    )
    for repeat in range(repeats):
        runs = [run for run in sweep if run.repeat == repeat]
        assert len({run.summary.where and run.summary.where.place for run in runs}) == 1
        loads = {
            tuple((name, task.solo_ms) for name, task in sorted(run.summary.tasks.items()))
            for run in runs
            if run.arm != "solo"
        }
        assert len(loads) == 1, f"repeat {repeat}: {loads}"
    return sweep


def logged(folder: Path) -> list[str]:
    """The folders of the results that MLflow shows, one a run: none that another run has taken
    the place of. Nothing that a kill left unfinished is there."""
    client = MlflowClient(store(folder))
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.arm != ''")
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED", "KILLED"}
    finished = [run.data.tags for run in runs if run.info.status == "FINISHED"]
    return sorted(tags["folder"].partition(":")[2] for tags in finished)


def hosts(sweep: Sweep) -> set[str]:
    return {run.summary.where.host for run in sweep if run.summary.where}


def finished(root: Path) -> dict[Path, bytes]:
    """The runs that count, with their record."""
    found = {}
    for place in (path.parent for path in root.glob("*/sweep.json")):
        for run in load(place):
            if run.status is Status.FINISHED:
                found[run.folder] = (run.folder / "summary.json").read_bytes()
    return found


# ---------------------------------------------------------------------- what is killed


@dataclass(frozen=True)
class Kill:
    """act: given the cluster, the command and a job that runs (its name, node and process). codes:
    how the command may end."""

    act: Callable[[Cluster, "subprocess.Popen[bytes]", str, str, int], object]
    codes: frozenset[int]
    again_at_once: bool = False


def _nodes(cluster: Cluster) -> Nodes:
    return cast(Nodes, cluster)


KILLS = {
    "a job": Kill(lambda c, p, job, node, pid: _nodes(c).kill_job(job), frozenset({0, 1})),
    "a worker": Kill(lambda c, p, job, node, pid: os.kill(pid, signal.SIGKILL), frozenset({0, 1})),
    # Its jobs may still run: the next command comes at once.
    "the parent": Kill(lambda c, p, *_: p.kill(), frozenset({-signal.SIGKILL}), True),
    "a node's daemon": Kill(
        lambda c, p, job, node, pid: _nodes(c).kill_node(node), frozenset({0, 1})
    ),
    "Ctrl-C": Kill(lambda c, p, *_: os.killpg(p.pid, signal.SIGINT), frozenset({130}), True),
}


def kill_and_go_on(cluster: Cluster, folder: Path, what: str, seed: int) -> None:
    """Begin the sweep, kill something, run the command again. Raises AssertionError if a run is
    lost or counts twice, if something hangs, or if what was finished is not kept."""
    kill, chance = KILLS[what], random.Random(seed)
    first = start(cluster, folder)
    until = time.monotonic() + LIMIT_S / 2
    while not (jobs := _nodes(cluster).running()) and first.poll() is None:
        assert time.monotonic() < until, f"no job has begun:\n{said(folder)}"
        time.sleep(0.1)
    assert jobs, said(folder)
    time.sleep(chance.uniform(0, 8))  # a repeat takes about that long
    jobs = _nodes(cluster).running() or jobs
    name = chance.choice(sorted(jobs))
    try:
        kill.act(cluster, first, name, *jobs[name])
    except (ProcessLookupError, subprocess.CalledProcessError):
        pass  # the job has ended by itself
    code = ended(first, folder)
    assert code in {*kill.codes, 0}, f"{code}:\n{said(folder)}"
    if not kill.again_at_once:
        _nodes(cluster).restore()
    kept = finished(folder / "out") if not kill.again_at_once else {}
    for attempt in range(2):  # a repeat on another device than before is run anew, once
        log = f"log{attempt + 2}"
        code = ended(start(cluster, folder, log), folder, log)
        if code == 0:
            break
    assert code == 0, said(folder, log)
    sweep = check(folder)
    assert logged(folder) == sorted(str(run.folder) for run in sweep)
    moved = [path for path in kept if (path / "summary.json").read_bytes() != kept[path]]
    for path in moved:
        repeat = next(run.repeat for run in sweep if run.folder == path)
        others = [run for run in sweep if run.repeat == repeat and run.folder not in kept]
        assert others, f"{path.name} was finished and is not kept"
    _nodes(cluster).restore()
