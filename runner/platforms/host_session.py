"""A trial on the host platform, seen from inside the trial's process.

Order of work (XSched wants the scheduler before the queues and the hints after them): open streams,
warm up and calibrate on the bare streams, prove levels on queues of the app-managed scheduler,
then open the queues of the measurement under its policy and prove interception and policy.
"""

import random
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models import ModelSpec
from runner import proof
from runner.peers import Peers
from runner.recording import Recording
from runner.spec import TaskSpec, TrialSpec
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host import DeviceSession, HostQueue, HostScheduler, HostStream
from xsched_bindings.host.policies import create_policy
from xsched_bindings.host.scheduler import Event
from xsched_bindings.host.stream import LoadedProgram
from xsched_bindings.types import PRIORITY_DEFAULT, PolicyType, SchedulerType

#: Work of one probe command: long against the 0.1 ms that stopping an executor takes.
PROBE_WORK_US = 500
LEVEL_PROBES = 2
#: A probe is repeated when the machine held this process up for so long that it showed nothing.
PROBE_ATTEMPTS = 4
#: Commands that must still be pending when a suspended queue has gone quiet.
PROBE_MARGIN = 16

CALIBRATION_REQUESTS = 7

#: Niceness of each lower priority under arm stream_priority: five steps are a factor of three.
NICENESS_STEP = 5


@dataclass
class Lane:
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

    def run_probe(self) -> None:
        self.stream.submit(self.probe)
        self.stream.synchronize(self.waiter)


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> "HostSession":
    """What `runner.child` asks for: the session over the inherited connection to the device."""
    return HostSession(trial, DeviceSession.from_fd(start["fds"]["device"]), say)


class HostSession:
    """Streams, queues and scheduler of one trial. say(text) reports what is being done."""

    def __init__(self, trial: TrialSpec, device: DeviceSession, say: Callable[[str], None]) -> None:
        self.trial = trial
        self.lanes: list[Lane] = []
        self._device = device
        self._say = say
        self._scheduler = HostScheduler()
        self._random = random.Random(trial.seed)
        self._window_from = 0
        self._busy_from_ns = self._window_from_ns = 0

    # --- set-up --------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open every task's stream."""
        tasks = self.trial.tasks
        for model in dict.fromkeys(task.model for task in tasks):
            self._say(f"loading {model.name}")
            self._device.load(model.as_dict())
        if self.trial.arm == "default_stream":
            specs = [spec for task in tasks for spec in (task.model.as_dict(), _probe_spec(task))]
            shared = self._device.open_stream(specs, waiters=len(tasks))
            for i, task in enumerate(tasks):
                program, probe = shared.programs[2 * i : 2 * i + 2]
                self.lanes.append(Lane(task, shared, program, probe, waiter=i))
        else:
            for task in tasks:
                stream = self._device.open_stream(
                    [task.model.as_dict(), _probe_spec(task)], niceness=self._niceness(task)
                )
                program, probe = stream.programs
                self.lanes.append(Lane(task, stream, program, probe))

    def _niceness(self, task: TaskSpec) -> int:
        if self.trial.arm != "stream_priority":
            return 0
        return min(19, NICENESS_STEP * self.trial.priorities.index(task.priority))

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        """Solo time of a request of each model on the bare stream in seconds: the fastest of a few,
        for what disturbs a run on a shared machine only ever adds to it."""
        solo: dict[ModelSpec, float] = {}
        for lane in self.lanes:
            if lane.task.model in models and lane.task.model not in solo:
                self._say(f"calibrating {lane.task.model.name}")
                solo[lane.task.model] = min(
                    _seconds(lane.request) for _ in range(CALIBRATION_REQUESTS)
                )
        return solo

    # --- proof before the window ---------------------------------------------------------------

    def prove(self, peers: Peers) -> proof.Proof:
        """Put XSched between the streams and the device, and prove that it works. Arms without
        XSched claim nothing, but stream_priority that the executors have the niceness."""
        if self.trial.arm == "stream_priority":
            niceness = {lane.task.name: self._niceness(lane.task) for lane in self.lanes}
            found = {lane.task.name: lane.stream.niceness for lane in self.lanes}
            return proof.Proof((proof.check_hardware_hint(niceness, found),))
        if not self.trial.uses_xsched:
            return proof.Proof()
        self._say("proving the preemption level")
        checks = [proof.check_level(self._suspensions())]
        self._say("proving interception and policy")
        self._scheduler.set_scheduler(
            SchedulerType.by_name(self.trial.scheduler), PolicyType[self.trial.policy]
        )
        self._scheduler.set_timeslice(self.trial.timeslice_us)
        for lane in self.lanes:
            lane.queue = self._open_queue(lane)
        self._hint()
        checks.append(proof.check_interception([self._intercept(lane) for lane in self.lanes]))
        checks.append(self._prove_policy())
        return proof.Proof(tuple(checks))

    def _open_queue(self, lane: Lane) -> HostQueue:
        queue = self._scheduler.create_queue(lane.stream, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def _hint(self) -> None:
        null = self.trial.arm == "xsched_null"
        for lane in self.lanes:
            assert lane.queue is not None
            lane.queue.hint_priority(0 if null else lane.task.priority)
            if lane.task.utilization is not None:
                equal = 100 // len(self.lanes)
                lane.queue.hint_utilization(equal if null else lane.task.utilization)
            if lane.task.deadline_us is not None and not null:
                lane.queue.hint_deadline(lane.task.deadline_us)
            if lane.task.laxity_us is not None and not null:
                laxity, critical = lane.task.laxity_us, lane.task.priority
                lane.queue.hint_laxity(laxity, PRIORITY_DEFAULT, critical)

    def _suspensions(self) -> list[proof.Suspension]:
        self._scheduler.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        found = []
        for lane in self.lanes:
            with self._open_queue(lane) as queue:
                found += [self._suspension(lane, queue) for _ in range(LEVEL_PROBES)]
        return found

    def _suspension(self, lane: Lane, queue: HostQueue) -> proof.Suspension:
        """Suspend at a random moment and count. Repeated if this process was held up so long that
        the commands would have run out by themselves."""
        work_s = PROBE_WORK_US / 1e6
        limit = proof.bound(lane.task.level, lane.task.threshold)
        for _ in range(PROBE_ATTEMPTS):
            end = lane.stream.completed + lane.probe.commands
            lane.stream.submit(lane.probe)
            time.sleep(self._random.uniform(1, PROBE_MARGIN / 2) * work_s)
            queue.suspend()
            at_suspension = queue.settled()
            time.sleep((limit + 4) * work_s)
            quiet_at = self._wait_quiet(lane.stream, 4 * work_s)
            time.sleep(4 * work_s)
            quiet = lane.stream.completed == quiet_at
            queue.resume()
            lane.stream.synchronize()
            if end - at_suspension > limit:
                break
        return proof.Suspension(
            lane.task.name,
            lane.task.level,
            lane.task.threshold,
            passed=quiet_at - at_suspension,
            pending=end - quiet_at,
            quiet=quiet,
            resumed=lane.stream.completed == end,
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

    def _intercept(self, lane: Lane) -> proof.Interception:
        counted = lane.queue.count() if lane.queue else 0
        executed = lane.stream.completed
        lane.request()
        return proof.Interception(
            lane.task.name,
            executed=lane.stream.completed - executed,
            counted=(lane.queue.count() if lane.queue else 0) - counted,
        )

    def _prove_policy(self) -> proof.Check:
        """Give every queue work, those that the policy must suspend first."""
        lanes = {lane.queue.handle: lane for lane in self.lanes if lane.queue}
        oracle = create_policy(PolicyType[self.trial.policy])
        for lane in lanes.values():
            assert lane.queue is not None
            if self.trial.arm != "xsched_null":
                oracle.hint_priority(lane.queue.handle, lane.task.priority)
            if lane.task.utilization is not None:
                oracle.hint_utilization(lane.queue.handle, lane.task.utilization)
        run = oracle.decide(dict.fromkeys(lanes, True), 0).run
        suspended = [lanes[handle] for handle in lanes if handle not in run]
        names = [lane.task.name for lane in suspended]
        for _ in range(PROBE_ATTEMPTS):
            logged = len(self._scheduler.log)
            for lane in suspended:
                lane.stream.submit(lane.probe)
            time.sleep(4 * PROBE_WORK_US / 1e6)
            for handle in run:
                lanes[handle].stream.submit(lanes[handle].probe)
            for lane in lanes.values():
                lane.stream.synchronize(lane.waiter)
            intervals = self._intervals(self._scheduler.log[logged:])
            check = proof.check_policy(self.trial.policy, names, intervals)
            if check.passed:
                break
        return check

    # --- the window ----------------------------------------------------------------------------

    def begin_window(self) -> None:
        self._window_from = len(self._scheduler.log)
        self._busy_from_ns, self._window_from_ns = self._busy_ns(), time.monotonic_ns()

    def _busy_ns(self) -> int:
        return sum(stream.busy_ns for stream in {lane.stream for lane in self.lanes})

    def end_window(self, recording: Recording) -> tuple[proof.Proof, dict[str, Any]]:
        """What the scheduler's log proves of the window, and fields of the trial's `Outcome`."""
        busy_ns = self._busy_ns() - self._busy_from_ns
        elapsed_ns = time.monotonic_ns() - self._window_from_ns
        saturation = busy_ns / elapsed_ns / self.trial.device_cores
        if not self.trial.uses_xsched:
            return proof.Proof(), {"saturation": saturation}
        events = self._scheduler.log[self._window_from :]
        intervals = self._intervals(events)
        null = self.trial.arm == "xsched_null" and self.trial.policy == "hpf"
        return proof.Proof((proof.check_window(intervals, none_expected=null),)), {
            "saturation": saturation,
            "preemptions": proof.preemptions(intervals),
            "events": _columns(self.lanes, events),
        }

    def _intervals(self, events: Sequence[Event]) -> list[proof.Interval]:
        lanes = {lane.queue.handle: lane for lane in self.lanes if lane.queue}
        opened: dict[int, Event] = {}
        found = []

        def close(event: Event, completed: int) -> None:
            task = lanes[event.queue].task
            found.append(
                proof.Interval(
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
        """Wait until `stop_fd` is readable, something dies, or `timeout_s` passes; what has died,
        in words, or ""."""
        streams = {lane.stream.pidfd: lane for lane in self.lanes}
        fds = [*streams, *([] if stop_fd is None else [stop_fd])]
        readable, _, _ = select.select(fds, [], [], timeout_s)
        for lane in (streams[fd] for fd in readable if fd in streams):
            try:
                fate = self._device.fate(lane.stream.pid)
            except DeviceLost:
                return "the device process was lost, and its executors with it"
            return f"the executor of task {lane.task.name} was lost: {fate}"
        if self._scheduler.error is not None:
            return f"the scheduler failed: {self._scheduler.error}"
        return ""


def _probe_spec(task: TaskSpec) -> dict[str, Any]:
    """Commands of fixed work, so many that some are pending when a suspended queue is quiet."""
    size = task.threshold + 2 * PROBE_MARGIN
    return ModelSpec("synthetic", size=size, work_us=PROBE_WORK_US).as_dict()


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _columns(lanes: Sequence[Lane], events: Sequence[Event]) -> dict[str, list[Any]]:
    """The scheduler's log as columns: what `events.parquet` holds."""
    names = {lane.queue.handle: lane.task.name for lane in lanes if lane.queue}
    return {
        "at_ns": [event.at_ns for event in events],
        "event": [event.name for event in events],
        "task": [names.get(event.queue, "") for event in events],
        "completed": [event.completed for event in events],
    }
