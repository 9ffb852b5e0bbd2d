"""A trial on a GPU, seen from inside one of the trial's processes.

Order of work (XSched wants the scheduler before the queues and the hints after them): open streams,
warm up and calibrate on the bare streams, prove levels on queues of the app-managed scheduler, then
open the queues of the measurement under its policy and prove interception and policy. With one
process a task each step is taken together; what must be alone on the device is done in turn.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import ModelSpec
from runner.config.arms import Streams
from runner.config.spec import TaskSpec, TrialSpec
from runner.platforms.calibration import solo_times
from runner.platforms.contract import Peers, PlatformError, Wait, WindowFindings
from runner.platforms.gpu import mps, xserver
from runner.platforms.gpu.accelerator import Accelerator, QueueMaker, Stream, Tie, Work
from runner.platforms.hints import give_hints
from runner.platforms.prove import patience, probe, prove
from runner.proof import checks as proof
from runner.proof.marks import Marks
from runner.proof.server import check_server
from xsched_bindings import companion
from xsched_bindings.host.processes import readable
from xsched_bindings.interface import Queue
from xsched_bindings.types import (
    PolicyType,
    PreemptLevel,
    SchedulerType,
)

#: A suspension comes when so many commands of its probe have run, and then at any moment of whole
#: batches, at least so many commands: what is in flight goes up and down with each batch.
STARTED = 2
MOMENTS = 6
#: So long this process may be late with a suspension: the work must not have run out by then.
LATE_S = 0.01
#: A queue is quiet that has completed nothing for so many commands' time, and for so long.
QUIET_COMMANDS = 4
QUIET_S = 0.004
SAMPLE_S = 0.0003
#: For the other contexts to have work when a level is probed beside them.
BUSY_S = 0.05
#: For a hint to reach the policy, which takes it in a thread or process of its own.
HINT_S = 0.05
#: What runs may take so long to stop (level interrupt: XSched paper, figure 11, has tens of
#: microseconds). What ends meanwhile tells nothing.
INTERRUPT_S = 0.0001


@dataclass
class GpuLane:
    """One task's way to the device. requests: how many it has made."""

    task: TaskSpec
    stream: Stream
    work: Work
    queue: Queue | None = None
    requests: int = 0

    def submit(self) -> Wait:
        """Enqueue one request of the task."""
        self.requests += 1
        return self.work.submit()

    def request(self) -> None:
        """One request of the task, until it has completed."""
        self.submit()()

    @property
    def so_far(self) -> "_SoFar":
        counted = self.queue.count() if self.queue else 0
        return _SoFar(self.work.marks.count, self.requests, counted)


@dataclass(frozen=True)
class _SoFar:
    """How far a lane was at one moment: marks, requests, and commands that its queue had seen."""

    marks: int
    requests: int
    counted: int


class GpuSession:
    """Streams and queues of some of a trial's tasks. details: the platform's, for its sessions."""

    def __init__(
        self,
        trial: TrialSpec,
        tasks: list[int],
        details: dict[str, Any],
        device: Accelerator,
        say: Callable[[str], None],
    ) -> None:
        self.trial = trial
        self.lanes: list[GpuLane] = []
        self._tasks = [trial.tasks[index] for index in tasks]
        self._device, self._details, self._say = device, details, say
        self._plane: QueueMaker | None = None
        self._random = random.Random(trial.seed)
        #: Those that take turns on the GPU while a level is probed.
        self._contexts = len(trial.tasks) if trial.takes_time_slices else 1
        self._asked: list[dict[str, Any]] = []
        #: Commands of a request by task, as the witness counted them.
        self._commands: dict[str, int] = {}

    # --- set-up ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open every task's stream. Raises RuntimeError if two tasks that are
        to have one each get the same: PyTorch has so many, and then hands them out again."""
        ranks = self._device.hints(len(self.trial.priorities))
        for task in self._tasks:
            self._say(f"loading {task.model.name}")
            hint = None
            if self.trial.arm.streams is Streams.prioritised:
                hint = ranks[self.trial.priorities.index(task.priority)]
            stream = self._device.open_stream(
                hint, default=self.trial.arm.streams is Streams.shared
            )
            work = self._device.load(task.model, stream, task.arrival.in_flight)
            self.lanes.append(GpuLane(task, stream, work))
        there = len({lane.stream.pointer for lane in self.lanes})
        if self.trial.arm.streams is not Streams.shared and there < len(self.lanes):
            raise RuntimeError(
                f"PyTorch has {there} streams for the {len(self.lanes)} tasks of a process: fewer "
                "tasks, or platform.placement=processes"
            )

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        return solo_times(self.lanes, models, self._say)

    # --- proof before the window -----------------------------------------------------------------

    def prove(self, peers: Peers) -> proof.Proof:
        return prove(self, peers, self._say)

    def hardware_hints(self) -> tuple[dict[str, int], dict[str, int]]:
        """The streams' priorities, or what MPS is told of the processes."""
        if self.trial.arm.needs_mps:
            return self._clients()
        ranks = self._device.hints(len(self.trial.priorities))
        asked = {t.name: ranks[self.trial.priorities.index(t.priority)] for t in self._tasks}
        return asked, {lane.task.name: lane.stream.priority for lane in self.lanes}

    def _clients(self) -> tuple[dict[str, int], dict[str, int]]:
        """By task, as the process's variables have it; whether MPS heeds it only marks tell."""
        asked, found = {}, {}
        for task in self._tasks:
            for name, text in mps.told(self.trial, self.trial.tasks.index(task)).items():
                asked[task.name], found[task.name] = int(text), int(os.environ.get(name, -1))
        return asked, found

    def schedule(self) -> None:
        trial, plane = self.trial, self._library()
        plane.set_scheduler(SchedulerType.by_name(trial.scheduler), PolicyType[trial.policy])
        plane.set_timeslice(trial.timeslice_us)
        plane.set_k_deadline(trial.k)
        for lane in self.lanes:
            lane.queue = self._open_queue(lane)
        # When all are open: a queue without a hint may be suspended as soon as another has one, and
        # configuring a suspended queue waits.
        for lane in self.lanes:
            assert lane.queue is not None
            give_hints(lane.queue, trial, lane.task)
        time.sleep(HINT_S)

    def _library(self) -> QueueMaker:
        if self._plane is None:
            self._plane = self._device.library(self._details["library"])
        return self._plane

    def witness(self) -> list[proof.Interception]:
        """The vendor's tracing library sees one request. What comes out is told by all before."""
        return [self._alone(lane) for lane in self.lanes]

    def _alone(self, lane: GpuLane) -> proof.Interception:
        before, calls = lane.so_far, companion.calls() or {}
        seen = self._device.witness(lane.request, lane.stream)
        made = companion.since(calls)
        executed, counted = len(seen.commands_s), lane.so_far.counted - before.counted
        missed = sorted(seen.commands_s)[counted:] if lane.queue else []
        self._commands[lane.task.name] = executed
        while lane.requests < proof.REFERENCES:
            lane.request()
        # Requests that execute nothing leave fewer marks.
        first = max(0, lane.work.marks.count - proof.REFERENCES * lane.work.parts)
        return proof.Interception(
            lane.task.name,
            executed,
            counted,
            seen.device_s,
            missed_s=sum(missed),
            results=proof.references(_results(lane.work, first).tolist(), lane.requests),
            calls=made,
        )

    def scheduled(self, peers: Peers) -> list[proof.Check]:
        """XSched's server, where there is one, has the queues of all processes."""
        if not (address := self._details["server"]):
            return []
        self._asked = [*chain(*peers.gather(self._asked_of_server()))]
        return [check_server(self._asked, xserver.queues(address))]

    def _open_queue(self, lane: GpuLane) -> Queue:
        queue = self._library().create_queue(lane.stream.pointer, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def suspensions(self, peers: Peers) -> list[proof.Suspension]:
        """With XSched's TSG the others want the GPU meanwhile: it takes a context's time slice
        away, and a context that is alone on the GPU goes on without."""
        if self._contexts == 1:
            return [*chain(*peers.in_turn(self._suspensions))]
        (lane,) = self.lanes  # a context is a process, and a process a task

        def beside() -> list[proof.Suspension]:
            lane.stream.synchronize()
            time.sleep(BUSY_S)
            return self._suspensions()

        found = peers.in_turn(beside, _busy(lane.stream, self._device.probe_s))
        lane.stream.synchronize()
        peers.gather()  # what comes now is alone again
        return [*chain(*found)]

    def _suspensions(self) -> list[proof.Suspension]:
        self._library().set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        found = []
        for lane in self.lanes:
            with self._open_queue(lane) as queue:
                suspend = partial(self._suspension, lane, queue)
                found += probe(suspend, self.trial.probes)
        return found

    def _suspension(self, lane: GpuLane, queue: Queue, disturbed: int) -> proof.Suspension:
        """Suspend at a random moment and count what completes. disturbed: how often the machine was
        too slow for that."""
        probe_s, task = self._device.probe_s, lane.task
        limit = proof.bound(task.level, task.threshold)
        step_s = probe_s * self._contexts
        quiet_s = max(QUIET_COMMANDS * probe_s, QUIET_S) * self._contexts * patience(disturbed)
        moments = task.batch_size * ceil(MOMENTS / task.batch_size)
        # So many that some are pending when the suspended queue is quiet.
        commands = STARTED + moments + task.threshold + 1 + ceil(LATE_S / probe_s)
        end = lane.stream.probe.count + commands
        lane.stream.submit_probe(commands)
        time.sleep(self._random.uniform(STARTED, STARTED + moments) * step_s)
        suspended_s, before = time.monotonic(), lane.stream.probe.count
        queue.suspend()
        settled_s = time.monotonic()
        if task.level is PreemptLevel.interrupt:
            time.sleep(INTERRUPT_S)
        at_suspension = lane.stream.probe.count
        last_s = _last_change(lambda: lane.stream.probe.count, limit * step_s + quiet_s)
        quiet_at = lane.stream.probe.count
        time.sleep(quiet_s)
        quiet = lane.stream.probe.count == quiet_at
        queue.resume()
        lane.stream.synchronize()
        return proof.Suspension(
            task.name,
            task.level,
            task.threshold,
            passed=quiet_at - at_suspension,
            pending=end - quiet_at,
            quiet=quiet,
            resumed=lane.stream.probe.count == end,
            quiet_ms=max(0.0, (last_s if limit else settled_s) - suspended_s) * 1e3,
            batch_size=task.batch_size,
            may_have_passed=quiet_at - before,
        )

    def _asked_of_server(self) -> list[dict[str, Any]]:
        return [
            {
                "task": lane.task.name,
                "pid": os.getpid(),
                "level": int(lane.task.level),
                "threshold": lane.task.threshold,
                "batch_size": lane.task.batch_size,
            }
            for lane in self.lanes
        ]

    # --- the window ------------------------------------------------------------------------------

    def begin_window(self) -> None:
        self._tie = self._device.tie()
        self._begin = [lane.so_far for lane in self.lanes]
        self._calls = companion.calls()

    def end_window(self) -> WindowFindings:
        calls = () if self._calls is None else (proof.check_calls(companion.since(self._calls)),)
        tie = self._device.tie()
        marks = tuple(self._marks(*each, tie) for each in zip(self.lanes, self._begin, strict=True))
        return WindowFindings(marks=marks, checks=(*calls, *self._unchanged()))

    def _marks(self, lane: GpuLane, begin: _SoFar, tie: Tie) -> Marks:
        marked = lane.work.marks.since(begin.marks)
        return Marks(
            lane.task.name,
            lane.work.parts,
            self._commands[lane.task.name],
            _host_ns(marked.ticks, self._tie, tie),
            _results(lane.work, begin.marks),
            dropped=lane.work.marks.count - begin.marks - len(marked.ticks),
            turn=begin.requests % proof.INPUTS,
            counted=lane.so_far.counted - begin.counted if lane.queue else None,
        )

    def _unchanged(self) -> tuple[proof.Check, ...]:
        """The server still has the policy and the queues that it was given."""
        if not (address := self._details["server"]) or not self.trial.uses_xsched:
            return ()
        try:
            xserver.check_policy(address, self.trial.policy)
            return (check_server(self._asked, xserver.queues(address), "after the window"),)
        except (OSError, PlatformError) as error:
            return (proof.Check("server after the window", False, str(error)),)

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """What dies here takes the whole process with it, and the parent sees that."""
        readable([] if stop_fd is None else [stop_fd], timeout_s)
        return ""


def _busy(stream: Stream, probe_s: float) -> Callable[[], None]:
    """What keeps the device at work with a stream's probes while it is called again and again."""
    ahead, end = max(2, ceil(2 * LATE_S / probe_s)), 0

    def again() -> None:
        nonlocal end
        if (count := stream.probe.count) > end - ahead:
            stream.submit_probe(ahead)
            end = max(end, count) + ahead
        time.sleep(SAMPLE_S)

    return again


def _last_change(value: Callable[[], int], watch_s: float) -> float:
    """Watch for so long; when the value was last seen to change, or the beginning."""
    since = time.monotonic()
    changed, before = since, value()
    while time.monotonic() - since < watch_s:
        time.sleep(SAMPLE_S)
        if (now := value()) != before:
            changed, before = time.monotonic(), now
    return changed


def _results(work: Work, since: int) -> NDArray[np.float64]:
    """What the requests after the first `since` marks came to, the last ones that are kept."""
    if not work.computes:
        return np.zeros(0)
    values = work.marks.since(since).values
    return values[(len(values) - 1) % work.parts :: work.parts]


def _host_ns(ticks: NDArray[np.int64], begin: Tie, end: Tie) -> NDArray[np.int64]:
    """The device's ticks as monotonic nanoseconds: the line through two ties."""
    rate = (end.host_ns - begin.host_ns) / max(end.ticks - begin.ticks, 1)
    return np.asarray(begin.host_ns + np.rint((ticks - begin.ticks) * rate), np.int64)
