"""Host trials in which something does not do what it says: the real platform, trial and proof, and
adversaries that act in the trial's process and in its executors.

`HONEST_UNTIL_THE_WINDOW` follows the name of one that nothing before the window may show. The
parent, which judges, runs none of this.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from models import ModelSpec
from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.config.spec import TaskSpec, TrialSpec
from runner.platforms import hints
from runner.platforms.choose import settle
from runner.platforms.contract import ChildSetup, Wait
from runner.platforms.host import session as honest_session
from runner.platforms.host.programs import load as load_honest
from runner.platforms.host.session import HostLane, HostSession
from runner.platforms.kinds import host
from runner.platforms.kinds.host import HostPlatform
from tests import forked
from xsched_bindings.host import Device, DeviceSession, HostQueue, HostStream
from xsched_bindings.host import scheduler as honest_scheduler
from xsched_bindings.host.executor import Program
from xsched_bindings.host.stream import CODE_BYTES, LoadedProgram
from xsched_bindings.interface import Hinted
from xsched_bindings.policies import Policy, create_policy
from xsched_bindings.policies.base import Decision, Queues
from xsched_bindings.policies.hpf import HighestPriorityFirst
from xsched_bindings.policies.kedf import KEarliestDeadlineFirst
from xsched_bindings.policies.lax import Laxity
from xsched_bindings.policies.up import UtilizationPartition
from xsched_bindings.types import PRIORITY_DEFAULT, PreemptLevel, SuspendFlag

#: The adversary of a trial's process: a key of `NAMES`, or nothing.
ADVERSARY = "HOST_ADVERSARY"
HONEST_UNTIL_THE_WINDOW = "@window"

NAMES = {
    "inert": "queues see commands and events, and suspensions have no effect",
    "bypassed": "commands go to the executor, and no queue sees one",
    "first-queue": "only the first task's queue is ever suspended",
    "all-but-last": "only the last task's queue is never suspended",
    "tighter": "a threshold of a quarter of what was asked",
    "lower-level": "level block whatever was asked",
    "higher-level": "level interrupt whatever was asked",
    "every-second": "every second suspension of a queue has no effect",
    "past-queue": "one command of twenty is written to the executor past the queue",
    "lost-hint": "the first task's hint never arrives",
    "inverted-hints": "the first task has the last one's hints, and so on",
    "late": "decisions take effect 50 ms late",
    "lowest-first": "hpf runs the lowest priority",
    "no-deadlines": "kedf ignores deadlines",
    "never-critical": "lax never takes laxity for used up",
    "inverted-shares": "up gives each of two tasks the other one's share",
    "long-turns": "up takes ten times the time slice",
    "garbled": "some results are none that an input has",
    "stale": "some results are those of the request before",
    "empty-kernels": "commands leave their marks and compute nothing",
    "dropped-kernels": "one command of twenty is counted by the queue and never executed",
    "no-kernels": "a request returns at once, and nothing was executed",
}
#: These act in executors.
LIES = ("garbled", "stale", "empty-kernels")
#: One request in so many is wrong. Odd, so that both inputs have their turn.
WRONG = 5
#: One command in so many goes astray.
ASTRAY = 20
LATE_S = 0.05


@dataclass
class _Play:
    """What is played in this process. acting: whether its moment has come."""

    name: str = ""
    acting: bool = False
    streams: list[HostStream] = field(default_factory=list)

    def __call__(self, *names: str) -> bool:
        return self.acting and self.name in names


playing = _Play()


# --- in the trial's process ----------------------------------------------------------------------


class PlayedQueue(HostQueue):
    suspensions = 0

    def submit(self, codes: bytes) -> None:
        astray = len(codes) // CODE_BYTES // ASTRAY * CODE_BYTES
        if playing("past-queue"):
            self.stream.write(codes[:astray])
            super().submit(codes[astray:])
        elif playing("dropped-kernels"):
            super().submit(codes[astray:])
            self._submitted += astray // CODE_BYTES
        else:
            super().submit(codes)

    def suspend(self, flags: SuspendFlag = SuspendFlag.none) -> None:
        self.suspensions += 1
        if self._ignores:
            self.suspended = True
        else:
            super().suspend(flags)

    @property
    def _ignores(self) -> bool:
        return (
            playing("inert")
            or (playing("first-queue") and self.stream is not playing.streams[0])
            or (playing("all-but-last") and self.stream is playing.streams[-1])
            or (playing("every-second") and self.suspensions % 2 == 0)
        )


def _spoil(queue: HostQueue, task: TaskSpec) -> None:
    """What is not as it was asked to be."""
    if playing("tighter"):
        queue.set_launch_config(task.threshold // 4, task.batch_size // 4)
    if playing("lower-level"):
        queue.set_preempt_level(PreemptLevel.block)
    if playing("higher-level"):
        queue.set_preempt_level(PreemptLevel.interrupt)
    if playing("bypassed"):
        queue.stream.interceptor = None


class PlayedLane(HostLane):
    def submit(self) -> Wait:
        if playing("no-kernels"):
            self.requests += 1
            return lambda: time.sleep(0.001)  # for the others' sake
        return super().submit()


class PlayedSession(HostSession):
    def open(self) -> None:
        super().open()
        playing.streams = [lane.stream for lane in self.lanes]

    def _open_queue(self, lane: HostLane) -> HostQueue:
        queue = super()._open_queue(lane)
        _spoil(queue, lane.task)
        return queue

    def begin_window(self) -> None:
        super().begin_window()
        if playing.name and not playing.acting:
            playing.acting = True
            self._reach_the_window()

    def _reach_the_window(self) -> None:
        since = Path(os.environ[f"{ADVERSARY}_SINCE"])
        since.touch()
        for lane in self.lanes:
            assert lane.queue is not None
            _spoil(lane.queue, lane.task)
            _give_hints(lane.queue, self.trial, lane.task)
        if playing("lost-hint") and (first := self.lanes[0].queue):
            first.hint_priority(PRIORITY_DEFAULT)


class PlayedDevice(DeviceSession):
    """Tells the loader of the lie."""

    def load(self, spec: Mapping[str, Any]) -> LoadedProgram:
        return super().load(_with_lie(spec))

    def open_stream(self, specs: Any, waiters: int = 1, niceness: int = 0) -> HostStream:
        return super().open_stream([_with_lie(spec) for spec in specs], waiters, niceness)


def _with_lie(spec: Mapping[str, Any]) -> dict[str, Any]:
    if playing.name not in LIES:
        return dict(spec)
    since = "" if playing.acting else os.environ[f"{ADVERSARY}_SINCE"]
    return {**spec, "lie": playing.name, "since": since}


def _give_hints(queue: Hinted, trial: TrialSpec, task: TaskSpec) -> None:
    if playing("lost-hint") and task is trial.tasks[0]:
        return
    if playing("inverted-hints"):
        task = trial.tasks[-1 - trial.tasks.index(task)]
    hints.give_hints(queue, trial, task)


class LowestFirst(HighestPriorityFirst):
    def hint_priority(self, handle: int, priority: int) -> None:
        super().hint_priority(handle, -priority)


class NoDeadlines(KEarliestDeadlineFirst):
    def hint_deadline(self, handle: int, microseconds: int) -> None: ...


class NeverCritical(Laxity):
    def _priority(self, queue: int, ready_ns: int | None, now_ns: int) -> int:
        return super()._priority(queue, None, now_ns)


class InvertedShares(UtilizationPartition):
    def hint_utilization(self, handle: int, percent: int) -> None:
        super().hint_utilization(handle, 100 - percent)


class LongTurns(UtilizationPartition):
    def set_timeslice(self, microseconds: int) -> None:
        super().set_timeslice(10 * microseconds)


MUTANTS: dict[str, Callable[[], Policy]] = {
    "lowest-first": LowestFirst,
    "no-deadlines": NoDeadlines,
    "never-critical": NeverCritical,
    "inverted-shares": InvertedShares,
    "long-turns": LongTurns,
}


def _create_policy(name: str) -> Policy:
    policy = MUTANTS.get(playing.name, lambda: create_policy(name))()
    decide = policy.decide

    def decide_late(queues: Queues, now_ns: int) -> Decision:
        decision = decide(queues, now_ns)
        if playing("late"):
            time.sleep(LATE_S)
        return decision

    policy.decide = decide_late  # type: ignore[method-assign]
    return policy


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> HostSession:
    device = PlayedDevice.from_fd(start["fds"]["device"], start["details"]["device_pid"])
    return PlayedSession(trial, device, say)


# --- in the device process and its executors -----------------------------------------------------


@dataclass
class Liar:
    """A program whose requests lie. since: a file that is there from then on; "" is always."""

    program: Program
    lie: str
    since: str
    requests: int = 0
    lying: bool = False
    before: float = 0.0

    def take(self, number: int) -> None:
        """The first request is honest: from then on there is a result that may be left."""
        self.requests += 1
        self.lying = self.requests > 1 and (not self.since or Path(self.since).exists())
        if self.program.take:
            self.program.take(number)

    def command(self, honest: Callable[[], object]) -> Callable[[], object]:
        return lambda: None if self.lying and self.lie == "empty-kernels" else honest()

    def result(self) -> float:
        assert self.program.result is not None
        before, now = self.before, self.program.result()
        self.before = now
        if self.lying and self.requests % WRONG == 0:
            return {"garbled": now + 0.25, "stale": before}.get(self.lie, now)
        return now


@cache
def _honest(spec: str) -> Program:
    return load_honest(json.loads(spec))


def load(spec: Mapping[str, Any]) -> Program:
    """The program of a model specification, with a lie if it names one."""
    given = dict(spec)
    lie, since = given.pop("lie", ""), given.pop("since", "")
    honest = _honest(json.dumps(given, sort_keys=True))
    if not lie or honest.result is None:
        return honest
    liar = Liar(honest, lie, since)
    commands = [liar.command(each) for each in honest.commands]
    return replace(honest, commands=commands, take=liar.take, result=liar.result)


# --- in the parent -------------------------------------------------------------------------------


class AdversaryPlatform(HostPlatform):
    """The host platform with one device for all trials. adversary: of the next one. since: a file
    that does not exist, by which executors hear of the window."""

    def __init__(self) -> None:
        super().__init__(device_cores=1)
        self.adversary, self.since = "", Path()

    def open(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None:
        if self._device is None:
            self._device = Device(f"{__name__}:load", self.device_cores)

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        told = {ADVERSARY: self.adversary, f"{ADVERSARY}_SINCE": str(self.since)}
        return [
            replace(setup, environment={**os.environ, **told}, module=__name__, start=forked.child)
            for setup in super().children(trial)
        ]


#: Long against what a suspension lets through, so that marks show who goes on.
URGENT = ModelOverride(name="synthetic", size=90, work_us=500)
LOW = ModelOverride(name="synthetic", size=20, work_us=500)


def trial(platform: HostPlatform, **changes: Any) -> TrialSpec:
    """One urgent task that comes and goes, and others that always want the device. low: the
    others' names. low_arrival: theirs. hints: beside the priority, of a task by its name."""
    config = Config()
    config.platform.name, config.platform.placement = "host", "threads"
    config.arm.name = changes.pop("arm", "xsched")
    for key in ("policy", "threshold", "batch_size", "timeslice_us"):
        setattr(config.xsched, key, changes.pop(key, getattr(config.xsched, key)))
    config.xsched.level = PreemptLevel[changes.pop("level", "block")]
    config.task_set.requests, config.task_set.lead_in_s = changes.pop("requests", 8), 0
    config.warmup, config.limit_s = 0, 6
    model = changes.pop("model", None)
    low, comes = changes.pop("low", ("low-1", "low-2")), changes.pop("low_arrival", "closed")
    tasks = {"urgent": TaskConfig(priority=2, model=model or URGENT)}
    tasks |= {name: TaskConfig(priority=1, model=model or LOW) for name in low}
    for name in low:
        tasks[name].arrival.process = comes
    for task, told in changes.pop("hints", {}).items():
        vars(tasks[task]).update(told)
    tasks["urgent"].arrival.process = changes.pop("arrival", "jitter")
    for each in tasks.values():
        each.arrival.load = 0.3
    assert not changes
    config.task_set.tasks = tasks
    return settle(config, resolve(config), platform)


def solo(spec: TrialSpec) -> dict[ModelSpec, float]:
    """What requests of made-up work take alone, which need not be measured each time."""
    models = {task.model for task in spec.tasks if task.model.name == "synthetic"}
    return {model: model.size * model.work_us / 1e6 for model in models}


def main(argument: str) -> None:
    from runner.trial import child

    name, window, _ = os.environ[ADVERSARY].partition(HONEST_UNTIL_THE_WINDOW)
    assert not name or name in NAMES, f"nobody plays {name!r}"
    playing.name, playing.acting = name, bool(name) and not window
    for module, attribute, played in (
        (host, "open_session", open_session),
        (honest_session, "HostLane", PlayedLane),
        (honest_session, "give_hints", _give_hints),
        (honest_scheduler, "HostQueue", PlayedQueue),
        (honest_scheduler, "create_policy", _create_policy),
    ):
        setattr(module, attribute, played)
    child.main(argument)
