"""A trial on the host platform, seen from inside the trial's process.

Order of work (XSched wants the scheduler before the queues and the hints after them): open streams,
warm up and calibrate on the bare streams, prove levels on queues of the app-managed scheduler,
then open the queues of the measurement under its policy and prove interception and policy.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from models import ModelSpec
from runner.config.arms import Streams
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.calibration import solo_times
from runner.platforms.contract import Peers, WindowFindings
from runner.platforms.hints import give_hints, pure_policy
from runner.platforms.host.stops import Stops
from runner.platforms.prove import ATTEMPTS, patience, probe, prove
from runner.proof import checks as proof
from runner.proof import on_host as proof_on_host
from runner.proof.on_host import Phase
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host import DeviceSession, HostQueue, HostScheduler, HostStream
from xsched_bindings.host.processes import readable
from xsched_bindings.host.scheduler import Event
from xsched_bindings.host.stream import LoadedProgram
from xsched_bindings.policies import POLICIES
from xsched_bindings.types import PolicyType, QueueState, SchedulerType

#: Commands that must still be pending when a suspended queue has gone quiet.
PROBE_MARGIN = 16

#: How often queues that are kept at work are looked after.
TOP_UP_S = 0.001
#: Longest wait for queues that take turns to have waited for theirs.
TURNS_LIMIT_NS = 2 * proof_on_host.TURNS_NS


#: Niceness of each lower priority where streams have some: five steps are a factor of three.
NICENESS_STEP = 5


@dataclass
class HostLane:
    """One task's way to the device. waiter: its marker on the stream, which it may share."""

    task: TaskSpec
    stream: HostStream
    program: LoadedProgram
    probe: LoadedProgram
    waiter: int = 0
    queue: HostQueue | None = None

    def request(self) -> None:
        """One request of the task, until it has completed."""
        self.stream.submit(self.program)
        self.stream.synchronize(self.waiter)

    @property
    def suspended(self) -> bool:
        return self.queue is not None and self.queue.suspended


@dataclass
class _Work:
    """A lane that is kept at work. end: commands that will have completed when it runs out."""

    lane: HostLane
    end: int

    def top_up(self) -> None:
        if self.end - self.lane.stream.completed < self.lane.task.threshold + PROBE_MARGIN:
            self.lane.stream.submit(self.lane.probe)
            self.end += self.lane.probe.commands


def _top_up(work: Iterable[_Work]) -> None:
    for each in work:
        each.top_up()


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

    # --- set-up --------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open every task's stream."""
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

    @property
    def needs_witness(self) -> bool:
        return False

    def prove(self, peers: Peers) -> proof.Proof:
        return prove(self, peers, self._say)

    def hardware_hints(self) -> tuple[dict[str, int], dict[str, int]]:
        """The executors' niceness."""
        asked = {lane.task.name: self._niceness(lane.task) for lane in self.lanes}
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
        return [self._intercept(lane) for lane in self.lanes]

    def witnessed(self, requests: Sequence[proof.Interception]) -> None:
        """Nothing to note: figures of the window rest on the executors' own times."""

    def _open_queue(self, lane: HostLane) -> HostQueue:
        queue = self._scheduler.create_queue(lane.stream, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def suspensions(self) -> list[proof.Suspension]:
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

    def _intercept(self, lane: HostLane) -> proof.Interception:
        counted = lane.queue.count() if lane.queue else 0
        executed = lane.stream.completed
        lane.request()
        return proof.Interception(
            lane.task.name,
            executed=lane.stream.completed - executed,
            counted=(lane.queue.count() if lane.queue else 0) - counted,
        )

    def rehearse(self, peers: Peers) -> list[proof.Check]:
        for _ in range(ATTEMPTS):
            check = self._rehearse()
            if check.passed:
                break
        return [check]

    def _rehearse(self) -> proof.Check:
        """Keep every queue at work until what the policy must do can be seen. Those that it holds
        back begin, so that it has to stop them."""
        lanes, policy = self._by_queue(), self.trial.policy
        tasks = {handle: lane.task for handle, lane in lanes.items()}
        ready_ns = dict.fromkeys(lanes, 0)
        first = pure_policy(self.trial, tasks).decide(ready_ns, 0).run
        foreseen: list[Phase] = []
        if POLICIES[policy].by_turns:
            pure = pure_policy(self.trial, tasks)
            foreseen = proof_on_host.foresee(pure, ready_ns, proof_on_host.TURNS_NS)
        work = {handle: _Work(lane, self._when_idle(lane)) for handle, lane in lanes.items()}
        logged = len(self._scheduler.log)
        _top_up(work[handle] for handle in lanes if handle not in first)
        time.sleep(4 * self.trial.probe_work_us / 1e6)
        _top_up(work.values())
        ready_ns = dict.fromkeys(lanes, time.monotonic_ns())
        ready_ns |= {e.queue: e.at_ns for e in self._scheduler.log[logged:] if e.name == "ready"}
        if not foreseen:
            pure = pure_policy(self.trial, tasks)
            foreseen = proof_on_host.foresee(pure, ready_ns, None)
        begin_ns = max(ready_ns.values())
        self._keep_at_work(work.values(), foreseen, begin_ns)
        until_ns = time.monotonic_ns()
        for lane in lanes.values():
            lane.stream.synchronize(lane.waiter)
        log = list(self._scheduler.log)
        rehearsal = proof_on_host.Rehearsal(
            {handle: task.name for handle, task in tasks.items()},
            foreseen,
            proof_on_host.suspended(log, begin_ns),
            until_ns - begin_ns,
            any(e.name == "idle" and begin_ns < e.at_ns < until_ns for e in log[logged:]),
        )
        return proof_on_host.check_policy(policy, rehearsal, self._intervals(log))

    def _keep_at_work(
        self, work: Collection["_Work"], foreseen: Sequence[Phase], begin_ns: int
    ) -> None:
        """Until the last change that is foreseen has settled; by turns, until enough queues have
        waited for theirs."""
        turns = POLICIES[self.trial.policy].by_turns
        last_ns = TURNS_LIMIT_NS if turns else foreseen[-1].from_ns
        must_wait = proof_on_host.waiting_by_turns(foreseen)
        waited: set[str] = set()
        while (elapsed_ns := time.monotonic_ns() - begin_ns) < last_ns + proof_on_host.SETTLE_NS:
            if turns and elapsed_ns > proof_on_host.SETTLE_NS:
                if len(waited) >= must_wait:
                    return  # seen a round ago, so it is in the log
                waited |= {each.lane.task.name for each in work if each.lane.suspended}
            _top_up(work)
            time.sleep(TOP_UP_S)

    def _when_idle(self, lane: HostLane, limit_s: float = 1.0) -> int:
        """Commands completed once the queue says that it is idle: shortly after its last request
        has returned."""
        give_up = time.monotonic() + limit_s
        while lane.queue and lane.queue.query() is not QueueState.idle:
            if time.monotonic() > give_up:
                break
            time.sleep(TOP_UP_S)
        return lane.stream.completed

    def _by_queue(self) -> dict[int, HostLane]:
        return {lane.queue.handle: lane for lane in self.lanes if lane.queue}

    # --- the window ----------------------------------------------------------------------------

    def begin_window(self) -> None:
        self._window_from = len(self._scheduler.log)
        self._busy_from_ns, self._window_from_ns = self._busy_ns(), time.monotonic_ns()
        self._stops = Stops()

    def _busy_ns(self) -> int:
        return sum(stream.busy_ns for stream in {lane.stream for lane in self.lanes})

    def end_window(self, requests: Sequence[TaskRequests], window_s: float) -> WindowFindings:
        """What the scheduler's log proves of the window."""
        busy_ns = self._busy_ns() - self._busy_from_ns
        elapsed_ns = time.monotonic_ns() - self._window_from_ns
        found = WindowFindings(
            saturation=busy_ns / elapsed_ns / self.trial.device_cores,
            stood_still=self._stops.end(),
        )
        if not self.trial.uses_xsched:
            return found
        events = self._scheduler.log[self._window_from :]
        intervals = self._intervals(events)
        kind = POLICIES[self.trial.policy]
        null = self.trial.arm.is_null_control and not kind.equal_suspends
        return replace(
            found,
            checks=proof.Proof((proof.check_window(intervals, none_expected=null),)),
            preemptions=proof.preemptions(intervals),
            events=_columns(self.lanes, events),
        )

    def _intervals(self, events: Sequence[Event]) -> list[proof.HeldBack]:
        lanes = self._by_queue()
        opened: dict[int, Event] = {}
        found = []

        def close(event: Event, completed: int) -> None:
            task = lanes[event.queue].task
            found.append(
                proof.HeldBack(
                    task.name,
                    event.at_ns,
                    completed - event.completed,
                    proof.bound(task.level, task.threshold),
                    event.was_ready,
                )
            )

        for event in events:
            if event.name == "suspend":
                opened[event.queue] = event
            elif event.name == "resume" and event.queue in opened:
                close(opened.pop(event.queue), event.completed)
        for event in opened.values():
            close(event, lanes[event.queue].stream.completed)
        return found

    # --- health --------------------------------------------------------------------------------

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """It also notes who is stopped."""
        streams = {lane.stream.pidfd: lane for lane in self.lanes}
        stop_fds = [] if stop_fd is None else [stop_fd]
        ready = readable([self._device.fileno(), *streams, *stop_fds], timeout_s)
        if self._device.fileno() in ready:
            return "the device process was lost, and its executors with it"
        for lane in (streams[fd] for fd in ready if fd in streams):
            try:
                fate = self._device.fate(lane.stream.pid)
            except DeviceLost as lost:
                return f"the device process was lost, and its executors with it ({lost})"
            return f"the executor of task {lane.task.name} was lost: {fate}"
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
