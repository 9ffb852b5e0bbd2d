"""On a GPU: two hundred trials' set-ups in a row from warm parents, some of them killed, and what
they leave behind. Needs CUDA, and XSched for the half that is under its shim; not part of `make
bench` without a name."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from benchmarks.command import ROOT
from benchmarks.report import Figure, at_most, report
from runner.config.resolve import as_config, resolve
from runner.config.schema import Config
from runner.config.spec import TrialSpec
from runner.platforms.choose import open_session, settle, shared
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.gpu.warm import WarmParent
from runner.platforms.gpu.xserver import SHARED_MEMORY
from runner.platforms.start import Start

TITLE = "On a GPU, 200 trials' set-ups from warm parents"
STARTS = 200
#: Every so many is killed while it works.
KILLED = 10
WARM_UP = 4
MIB = 1 << 20


def run() -> list[Figure]:
    return [figure for arm in ("native", "xsched") for figure in _many(arm)]


@dataclass
class _Left:
    """What is there besides a trial."""

    gpu_mib: int
    shared: set[str]
    processes: int
    parent_mib: float

    @classmethod
    def look(cls, platform: GpuPlatform, parent: int) -> "_Left":
        memory = platform._management().sample().memory_used_mib or 0
        warm = psutil.Process(parent)
        return cls(
            memory,
            {path.name for path in SHARED_MEMORY.iterdir()},
            len(warm.children(recursive=True)),
            warm.memory_info().rss / MIB,
        )


def _many(arm: str) -> list[Figure]:
    trial, platform = planned("task_set=six_bert", f"arm={arm}")
    environment = platform._environment(trial)
    models = {task.model for task in trial.tasks}
    with tempfile.TemporaryDirectory() as folder:
        parent = platform.warm_parent(environment, Path(folder))
        with parent:
            began = time.monotonic()
            parent.open_trial(models, lambda _: None).close()
            warming_s = time.monotonic() - began
            _one(parent, platform, trial, Path(folder), kill=False)
            before = _Left.look(platform, parent.process.pid)
            times, bad = [], 0
            for number in range(1, STARTS + 1):
                kill = number % KILLED == 0
                took = _one(parent, platform, trial, Path(folder), kill)
                times += [took] if took is not None else []
                bad += took is None and not kill
            after = _Left.look(platform, parent.process.pid)
    what = f"{arm}, {STARTS} starts, every {KILLED}th killed"
    return [
        report(f"{arm}: the warm parent, once a sweep", warming_s, " s"),
        at_most(
            f"{what}: from the fork to six warm streams, median",
            statistics.median(times),
            2.0,
            " s",
        ),
        report(f"{what}: the slowest", max(times), " s"),
        at_most(f"{what}: set-ups that failed", bad, 0),
        at_most(f"{what}: processes left", after.processes - before.processes, 0),
        at_most(f"{what}: GPU memory left", after.gpu_mib - before.gpu_mib, 0, " MiB"),
        at_most(f"{what}: shared memory left", len(after.shared - before.shared), 0),
        at_most(
            f"{what}: growth of the warm parent", after.parent_mib - before.parent_mib, 8, " MiB"
        ),
    ]


def planned(*overrides: str) -> tuple[TrialSpec, GpuPlatform]:
    """A trial of BERT-base at batch 64 in threads, and its platform."""
    ConfigStore.instance().store(name="schema", node=Config)
    given = ["platform=cuda", "model.batch_size=64", "platform.placement=threads", *overrides]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = as_config(compose("config", given))
    platform = shared(config)
    assert isinstance(platform, GpuPlatform)
    return settle(config, resolve(config), platform), platform


def _one(
    parent: WarmParent, platform: GpuPlatform, trial: TrialSpec, folder: Path, kill: bool
) -> float | None:
    """Seconds from the fork to the end of the warm-up; None if it did not come to that."""
    models = {task.model for task in trial.tasks}
    with parent.open_trial(models, lambda _: None) as forks:
        ours, theirs = Pipe()
        with ours, (folder / "stderr.log").open("wb") as stderr:
            began = time.monotonic()
            start = Start(
                __name__, theirs.fileno(), [theirs.fileno()], platform._environment(trial), stderr
            )
            process = forks.fork(start)
            theirs.close()
            ours.send((trial, platform.children(trial)[0].details))
            if kill:
                time.sleep(1.0)
                process.kill()
                process.wait()
                return None
            try:
                ours.recv()
            except EOFError:
                print((folder / "stderr.log").read_text()[-500:])
                return None
            took = time.monotonic() - began
            process.wait()
            return took


def main(argument: str) -> None:
    """One set-up, in the forked process."""
    parent = Connection(int(argument))
    trial, details = parent.recv()
    tasks = list(range(len(trial.tasks)))
    session = open_session(trial, tasks, {"details": details}, lambda _: None)
    session.open()
    if trial.uses_xsched:
        session.schedule()
    for _ in range(WARM_UP):
        for lane in session.lanes:
            lane.request()
    counts = [lane.queue.count() for lane in session.lanes if lane.queue]
    assert all(counts), counts
    assert len(set(counts)) <= 1, counts
    parent.send(counts)
