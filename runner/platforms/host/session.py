"""A trial on the host platform, seen from inside the trial's process.

Order of work (XSched wants the scheduler before the queues and the hints after them): open streams,
warm up and calibrate on the bare streams, prove levels on queues of the app-managed scheduler,
then open the queues of the measurement under its policy and prove interception and policy.
"""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import CATALOG, ModelSpec
from runner.config.arms import Streams
from runner.config.spec import TaskSpec, TrialSpec
from runner.platforms.calibration import solo_times
from runner.platforms.contract import Peers, Wait, WindowFindings
from runner.platforms.hints import give_hints
from runner.platforms.host.stops import Stops
from runner.platforms.prove import patience, probe, prove
from runner.proof import checks as proof
from runner.proof.marks import Marks
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host import DeviceSession, HostQueue, HostScheduler, HostStream
from xsched_bindings.host.pace import Pace
from xsched_bindings.host.processes import readable
from xsched_bindings.host.scheduler import Event
from xsched_bindings.host.stream import LoadedProgram
from xsched_bindings.host.stream import Marks as StreamMarks
from xsched_bindings.types import PolicyType, SchedulerType

#: Commands that must still be pending when a suspended queue has gone quiet.
PROBE_MARGIN = 16

#: Share of the pieces of work, at either end, that do not count for the pace.
TRIMMED = 0.1

#: Niceness of each lower priority where streams have some: five steps are a factor of three.
NICENESS_STEP = 5


@dataclass
class HostLane:
    """One task's way to the device. waiter: its marker on the stream, which it may share. requests:
    how many it has made."""

    task: TaskSpec
    stream: HostStream
    program: LoadedProgram
    probe: LoadedProgram
    waiter: int = 0
    queue: HostQueue | None = None
    requests: int = 0

    def submit(self) -> Wait:
        """Enqueue one request of the task."""
        self.requests += 1
        self.stream.submit(self.program)
        return self.stream.end(self.waiter)

    def request(self) -> None:
        """One request of the task, until it has completed."""
        self.submit()()

    @property
    def so_far(self) -> "_SoFar":
        counted = self.queue.count() if self.queue else 0
        return _SoFar(self.stream.completed, self.stream.results, self.requests, counted)

    @property
    def suspended(self) -> bool:
        return self.queue is not None and self.queue.suspended


@dataclass(frozen=True)
class _SoFar:
    """How far a lane was at one moment: commands and results of its stream, its own requests, and
    commands that its queue had seen."""

    completed: int
    results: int
    requests: int
    counted: int


class HostSession:
    """Streams, queues and scheduler of one trial. say(text) reports what is being done."""

    def __init__(self, trial: TrialSpec, device: DeviceSession, say: Callable[[str], None]) -> None:
        self.trial = trial
        self.lanes: list[HostLane] = []
        self._device = device
        self._say = say
        self._scheduler = HostScheduler()
        self._random = random.Random(trial.seed)
        self._window_from = 0
        self._busy_from_ns = self._window_from_ns = 0
        self._stops = Stops()
        self._paces: list[Pace] = []

    # --- set-up --------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models, open every task's stream, and keep the device's cores awake."""
        tasks = self.trial.tasks
        for model in dict.fromkeys(task.model for task in tasks):
            self._say(f"loading {model.name}")
            self._device.load(model.as_dict())
        if self.trial.arm.streams is Streams.shared:
            specs = [spec for task in tasks for spec in (task.model.as_dict(), self._probe(task))]
            shared = self._device.open_stream(specs, waiters=len(tasks))
            for i, task in enumerate(tasks):
                program, probe = shared.programs[2 * i : 2 * i + 2]
                self.lanes.append(HostLane(task, shared, program, probe, waiter=i))
        else:
            for task in tasks:
                stream = self._device.open_stream(
                    [task.model.as_dict(), self._probe(task)], niceness=self._niceness(task)
                )
                program, probe = stream.programs
                self.lanes.append(HostLane(task, stream, program, probe))
        # Where this process has to run as well (a machine of one core) it would be in the way.
        alone = self._device.cores - os.sched_getaffinity(0)
        self._paces = [self._device.keep_pace(core) for core in sorted(alone)]

    def _probe(self, task: TaskSpec) -> dict[str, Any]:
        """Commands of fixed work, so many that some are pending when a suspended queue is quiet."""
        size = task.threshold + 2 * PROBE_MARGIN
        return ModelSpec("synthetic", size=size, work_us=self.trial.probe_work_us).as_dict()

    def _niceness(self, task: TaskSpec) -> int:
        if self.trial.arm.streams is not Streams.prioritised:
            return 0
        return min(19, NICENESS_STEP * self.trial.priorities.index(task.priority))

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        return solo_times(self.lanes, models, self._say)

    # --- proof before the window ---------------------------------------------------------------

    def prove(self, peers: Peers) -> proof.Proof:
        return prove(self, peers, self._say)

    def hardware_hints(self) -> tuple[dict[str, int], dict[str, int]]:
        """The executors' niceness, which is the device's or above it."""
        base = os.getpriority(os.PRIO_PROCESS, self._device.pid)
        asked = {lane.task.name: min(19, base + self._niceness(lane.task)) for lane in self.lanes}
        return asked, {lane.task.name: lane.stream.niceness for lane in self.lanes}

    def schedule(self) -> None:
        trial = self.trial
        self._scheduler.set_scheduler(SchedulerType.by_name(trial.scheduler), trial.policy)
        self._scheduler.set_timeslice(trial.timeslice_us)
        self._scheduler.set_k_deadline(trial.k)
        for lane in self.lanes:
            lane.queue = self._open_queue(lane)
            give_hints(lane.queue, trial, lane.task)

    def witness(self) -> list[proof.Interception]:
        """The executors' own count."""
        return [self._alone(lane) for lane in self.lanes]

    def _open_queue(self, lane: HostLane) -> HostQueue:
        queue = self._scheduler.create_queue(lane.stream, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def suspensions(self, peers: Peers) -> list[proof.Suspension]:
        return [*chain(*peers.in_turn(self._suspensions))]

    def _suspensions(self) -> list[proof.Suspension]:
        self._scheduler.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        found = []
        for lane in self.lanes:
            with self._open_queue(lane) as queue:
                suspend = partial(self._suspension, lane, queue)
                found += probe(suspend, self.trial.probes)
        return found

    def _suspension(self, lane: HostLane, queue: HostQueue, disturbed: int) -> proof.Suspension:
        """Suspend at a random moment and count. disturbed: how often the machine was too slow for
        that."""
        work_s, task = self.trial.probe_work_us / 1e6, lane.task
        limit, still_s = proof.bound(task.level, task.threshold), 4 * work_s * patience(disturbed)
        end = lane.stream.completed + lane.probe.commands
        lane.stream.submit(lane.probe)
        time.sleep(self._random.uniform(1, PROBE_MARGIN / 2) * work_s)
        suspended_ns = time.monotonic_ns()
        queue.suspend()
        at_suspension = queue.settled()
        settled_ns = time.monotonic_ns()
        time.sleep((limit + 4) * work_s)
        quiet_at = self._wait_quiet(lane.stream, still_s)
        time.sleep(still_s)
        quiet, passed = lane.stream.completed == quiet_at, quiet_at - at_suspension
        last_ns = lane.stream.last_completed_ns
        queue.resume()
        lane.stream.synchronize()
        return proof.Suspension(
            task.name,
            task.level,
            task.threshold,
            passed=passed,
            pending=end - quiet_at,
            quiet=quiet,
            resumed=lane.stream.completed == end,
            quiet_ms=max(0, (settled_ns if limit == 0 else last_ns) - suspended_ns) / 1e6,
            batch_size=task.batch_size,
            may_have_passed=passed,
        )

    def _wait_quiet(self, stream: HostStream, still_s: float, limit_s: float = 10.0) -> int:
        """Commands completed when none has for `still_s`. A disturbed core may be slower than
        planned, and how long the queue takes is not what is judged here."""
        give_up = time.monotonic() + limit_s
        before = -1
        while stream.completed != before and time.monotonic() < give_up:
            before = stream.completed
            time.sleep(still_s)
        return before

    def _alone(self, lane: HostLane) -> proof.Interception:
        begin = lane.so_far
        lane.request()
        end = lane.so_far
        while lane.requests < proof.REFERENCES:
            lane.request()
        results = self._results(lane, _SoFar(0, 0, 0, 0), lane.stream.marks_since(0))
        return proof.Interception(
            lane.task.name,
            executed=end.completed - begin.completed,
            counted=end.counted - begin.counted,
            results=proof.references(results.tolist(), lane.requests),
        )

    def scheduled(self, peers: Peers) -> list[proof.Check]:
        """The scheduler is this process's own."""
        return []

    # --- the window ----------------------------------------------------------------------------

    def begin_window(self) -> None:
        self._window_from = len(self._scheduler.log)
        self._begin = [lane.so_far for lane in self.lanes]
        self._paced = [pace.pieces for pace in self._paces]
        self._busy_from_ns, self._window_from_ns = self._busy_ns(), time.monotonic_ns()
        self._stops = Stops()

    def _busy_ns(self) -> int:
        return sum(stream.busy_ns for stream in {lane.stream for lane in self.lanes})

    def end_window(self) -> WindowFindings:
        """The executors' marks, and the scheduler's log."""
        busy_ns = self._busy_ns() - self._busy_from_ns
        elapsed_ns = time.monotonic_ns() - self._window_from_ns
        found = WindowFindings(
            marks=tuple(map(self._marks, self.lanes, self._begin)),
            saturation=busy_ns / elapsed_ns / self.trial.device_cores,
            stood_still=self._stops.end(),
            pace_us=self._pace_us(),
        )
        if not self.trial.uses_xsched:
            return found
        events = self._scheduler.log[self._window_from :]
        return replace(found, events=_columns(self.lanes, events))

    def _pace_us(self) -> float | None:
        """Trimmed, for interruptions are no pace. It is that of reading memory, so it says nothing
        of bare commands, which compute in registers."""
        if any(CATALOG[task.model.name].bare for task in self.trial.tasks):
            return None
        begun = zip(self._paces, self._paced, strict=True)
        ordered = np.sort([us for pace, begin in begun for us in pace.cpu_us_since(begin)])
        cut = int(TRIMMED * len(ordered))
        return float(ordered[cut : len(ordered) - cut].mean()) if len(ordered) else None

    def _marks(self, lane: HostLane, begin: _SoFar) -> Marks:
        """The executor's, without those of other tasks on the same stream."""
        made, program = lane.stream.marks_since(begin.completed), lane.program
        mine = (made.codes >= program.base) & (made.codes < program.base + program.commands)
        wanted = (lane.requests - begin.requests) * program.commands
        shared = self.trial.arm.streams is Streams.shared
        return Marks(
            lane.task.name,
            program.commands,
            program.commands,
            made.at_ns[mine],
            self._results(lane, begin, made),
            # Of a shared stream nobody knows whose marks the ring has lost.
            dropped=wanted - int(mine.sum()) if shared and made.dropped else made.dropped,
            turn=begin.requests % proof.INPUTS,
            counted=lane.queue.count() - begin.counted if lane.queue else None,
        )

    def _results(self, lane: HostLane, begin: _SoFar, made: StreamMarks) -> NDArray[np.float64]:
        """Of the lane's requests, the last ones. A stream keeps those of all its tasks in one ring,
        in the order in which their requests ended."""
        results = lane.stream.results_since(begin.results)
        ends = {
            each.program.base + each.program.commands - 1: each
            for each in self.lanes
            if each.stream is lane.stream and not CATALOG[each.task.model.name].bare
        }
        ended = made.codes[np.isin(made.codes, [*ends])]
        kept = min(len(results), len(ended))
        mine = np.array([ends[code] is lane for code in ended[len(ended) - kept :].tolist()], bool)
        return np.asarray(results[len(results) - kept :][mine])

    # --- health --------------------------------------------------------------------------------

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """It also notes who is stopped."""
        forks = {
            lane.stream.pidfd: (lane.stream.pid, f"the executor of task {lane.task.name}")
            for lane in self.lanes
        } | {
            pidfd: (pid, f"what keeps the pace of core {pace.core}")
            for pace in self._paces
            for pid, pidfd in zip(pace.pids, pace.pidfds, strict=True)
        }
        stop_fds = [] if stop_fd is None else [stop_fd]
        ready = readable([self._device.fileno(), *forks, *stop_fds], timeout_s)
        if self._device.fileno() in ready:
            return "the device process was lost, and its executors with it"
        for pid, who in (forks[fd] for fd in ready if fd in forks):
            try:
                fate = self._device.fate(pid)
            except DeviceLost as lost:
                return f"the device process was lost, and its executors with it ({lost})"
            return f"{who} was lost: {fate}"
        if self._scheduler.error is not None:
            return f"the scheduler failed: {self._scheduler.error!r}"
        self._stops.look(self._stopped())
        return ""

    def _stopped(self) -> set[str]:
        stopped = {
            f"the executor of task {lane.task.name}"
            for lane in self.lanes
            if lane.stream.stopped and not lane.suspended
        }
        return stopped | ({"the device process"} if self._device.stopped else set())


def _columns(lanes: Sequence[HostLane], events: Sequence[Event]) -> dict[str, list[Any]]:
    """The scheduler's log as columns: what `events.parquet` holds."""
    names = {lane.queue.handle: lane.task.name for lane in lanes if lane.queue}
    return {
        "at_ns": [event.at_ns for event in events],
        "event": [event.name for event in events],
        "task": [names.get(event.queue, "") for event in events],
        "completed": [event.completed for event in events],
    }
