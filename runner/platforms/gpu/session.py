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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import ceil
from typing import Any

from models import ModelSpec
from runner.config.arms import Streams
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.calibration import solo_times
from runner.platforms.contract import Peers, WindowFindings
from runner.platforms.gpu import xserver
from runner.platforms.gpu.accelerator import Accelerator, QueueMaker, Stream
from runner.platforms.hints import give_hints, pure_policy
from runner.platforms.prove import ATTEMPTS, patience, probe, prove
from runner.proof import checks as proof
from runner.proof import on_gpus as proof_on_gpus
from runner.proof.on_gpus import Course, Served
from xsched_bindings.host.processes import readable
from xsched_bindings.interface import Queue
from xsched_bindings.policies import POLICIES, Claim, Kind
from xsched_bindings.types import (
    PolicyType,
    PreemptLevel,
    SchedulerType,
)

#: Probe units that lower tasks are ahead by, which is also the latest moment of a suspension.
HEAD_START = 8
#: So long this process may be late with a suspension: the work must not have run out by then.
LATE_S = 0.01
#: A queue is quiet that has completed nothing for so many units, and for so long.
QUIET_UNITS = 4
QUIET_S = 0.004
SAMPLE_S = 0.0003
#: From a meeting to the common start of a rehearsal.
LEAD_NS = 20_000_000
#: For a hint to reach the policy, which takes it in a thread or process of its own.
HINT_S = 0.05
#: How long taking away a context's time slice may take to stop what runs (level interrupt).
INTERRUPT_S = 0.002


@dataclass
class GpuLane:
    """One task's way to the device."""

    task: TaskSpec
    stream: Stream
    request: Callable[[], None]
    queue: Queue | None = None


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
        self._running = [
            trial.tasks[index] for index in sorted({i for group in trial.groups for i in group})
        ]
        self._device, self._details, self._say = device, details, say
        self._plane: QueueMaker | None = None
        self._random = random.Random(trial.seed)
        #: A request by task, alone on the device, of all processes.
        self._alone: dict[str, proof.Interception] = {}

    # --- set-up ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open every task's stream."""
        ranks = self._device.hints(len(self.trial.priorities))
        for task in self._tasks:
            self._say(f"loading {task.model.name}")
            hint = None
            if self.trial.arm.streams is Streams.prioritised:
                hint = ranks[self.trial.priorities.index(task.priority)]
            stream = self._device.open_stream(
                hint, default=self.trial.arm.streams is Streams.shared
            )
            self.lanes.append(GpuLane(task, stream, self._device.load(task.model, stream)))

    @property
    def _kind(self) -> Kind:
        """Of the policy, which arms without XSched do not have."""
        return POLICIES[self.trial.policy]

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        return solo_times(self.lanes, models, self._say)

    # --- proof before the window -----------------------------------------------------------------

    @property
    def needs_witness(self) -> bool:
        """For device times, and lest an arm be measured in a state that others are not in."""
        return True

    def prove(self, peers: Peers) -> proof.Proof:
        return prove(self, peers, self._say)

    def hardware_hints(self) -> tuple[dict[str, int], dict[str, int]]:
        """The streams' priorities."""
        ranks = self._device.hints(len(self.trial.priorities))
        asked = {t.name: ranks[self.trial.priorities.index(t.priority)] for t in self._tasks}
        return asked, {lane.task.name: lane.stream.priority for lane in self.lanes}

    def schedule(self) -> None:
        trial, plane = self.trial, self._library()
        plane.set_scheduler(SchedulerType.by_name(trial.scheduler), PolicyType[trial.policy])
        plane.set_timeslice(trial.timeslice_us)
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
        """The vendor's tracing library."""
        return [self._look_at(lane) for lane in self.lanes]

    def _look_at(self, lane: GpuLane) -> proof.Interception:
        before = lane.queue.count() if lane.queue else 0
        executed, device_s = self._device.witness(lane.request, lane.stream)
        counted = (lane.queue.count() if lane.queue else 0) - before
        return proof.Interception(lane.task.name, executed, counted, device_s)

    def witnessed(self, requests: Sequence[proof.Interception]) -> None:
        self._alone = {each.task: each for each in requests}

    def rehearse(self, peers: Peers) -> list[proof.Check]:
        checks = []
        if address := self._details["server"]:
            asked = [*chain(*peers.gather(self._asked_of_server()))]
            checks.append(proof_on_gpus.check_server(asked, xserver.queues(address)))
        return [*checks, self._prove_policy(peers)]

    def _open_queue(self, lane: GpuLane) -> Queue:
        queue = self._library().create_queue(lane.stream.pointer, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def suspensions(self) -> list[proof.Suspension]:
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
        unit_s, task = self._device.unit_s, lane.task
        limit = proof.bound(task.level, task.threshold)
        quiet_s = max(QUIET_UNITS * unit_s, QUIET_S) * patience(disturbed)
        units = self._probe_units(task)
        end = lane.stream.probe_units + units
        lane.stream.submit_probe(units)
        time.sleep(self._random.uniform(2, HEAD_START) * unit_s)
        suspended_s = time.monotonic()
        queue.suspend()
        if task.level is PreemptLevel.interrupt:
            time.sleep(INTERRUPT_S)
        at_suspension = lane.stream.probe_units
        last_s = _last_change(lambda: lane.stream.probe_units, limit / 2 * unit_s + quiet_s)
        quiet_at = lane.stream.probe_units
        time.sleep(quiet_s)
        quiet, units = lane.stream.probe_units == quiet_at, quiet_at - at_suspension
        queue.resume()
        lane.stream.synchronize()
        return proof.Suspension(
            task.name,
            task.level,
            task.threshold,
            passed=proof_on_gpus.certain_commands(units),
            pending=end - quiet_at,
            quiet=quiet,
            resumed=lane.stream.probe_units == end,
            quiet_ms=max(0.0, last_s - suspended_s) * 1e3,
            batch_size=task.batch_size,
            may_have_passed=proof_on_gpus.possible_commands(units),
        )

    def _probe_units(self, task: TaskSpec) -> int:
        """So many that some are pending when a suspended queue is quiet."""
        return task.threshold // 2 + 1 + HEAD_START + ceil(LATE_S / self._device.unit_s)

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

    def _prove_policy(self, peers: Peers) -> proof.Check:
        policy, must = self.trial.policy, self._must_be_suspended()
        courses = self._rehearse(peers, must)
        if self.trial.arm.is_null_control:
            still = [] if self._kind.equal_suspends else proof_on_gpus.standing_still(courses)
            # A busy machine can keep a queue without work, but hardly so often; who suspends under
            # equal hints does it every time. All processes see the same courses, and go on alike.
            for _ in range(ATTEMPTS - 1):
                if still:
                    still = proof_on_gpus.standing_still(self._rehearse(peers, must))
            return proof.check_policy(policy, [], still)
        if self._kind.claim is Claim.shares:
            return proof_on_gpus.check_turns(courses, self._device.unit_s)
        return proof.check_policy(policy, must, proof_on_gpus.hpf_intervals(self._running, courses))

    def _must_be_suspended(self) -> list[str]:
        """Tasks that the policy suspends when all have work, asked of a pure instance of it."""
        if self.trial.arm.is_null_control:
            return []
        tasks = dict(enumerate(self._running))
        run = pure_policy(self.trial, tasks).decide(dict.fromkeys(tasks, 0), 0).run
        return [task.name for number, task in tasks.items() if number not in run]

    def _rehearse(self, peers: Peers, lower: Sequence[str]) -> list[Course]:
        """Every task of the trial runs its probe under the live policy; those of `lower` begin
        first, so that they are at work when they must be suspended."""
        start_ns = max(peers.gather(time.monotonic_ns())) + LEAD_NS
        head_start_ns = int(HEAD_START * self._device.unit_s * 1e9)
        longest = max(map(self._probe_units, self._running))

        def run(lane: GpuLane) -> tuple[int, int]:
            ahead = lane.task.name in lower
            due_ns = start_ns + (0 if ahead else head_start_ns)
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            began_ns = time.monotonic_ns()
            lane.stream.submit_probe(longest + (HEAD_START if ahead else 0))
            lane.stream.synchronize()
            return began_ns, time.monotonic_ns()

        before = [lane.stream.probe_units for lane in self.lanes]
        at_ns: list[int] = []
        samples: list[list[int]] = [[] for _ in self.lanes]
        with ThreadPoolExecutor(len(self.lanes)) as threads:
            running = [threads.submit(run, lane) for lane in self.lanes]
            while not all(each.done() for each in running):
                at_ns.append(time.monotonic_ns())
                for series, lane, base in zip(samples, self.lanes, before, strict=True):
                    series.append(lane.stream.probe_units - base)
                time.sleep(SAMPLE_S)
        mine = [
            Course(
                lane.task.name,
                *each.result(),
                at_ns=tuple(at_ns),
                units=tuple(series),
                total=longest + (HEAD_START if lane.task.name in lower else 0),
            )
            for lane, each, series in zip(self.lanes, running, samples, strict=True)
        ]
        return [*chain(*peers.gather(mine))]

    # --- the window ------------------------------------------------------------------------------

    def begin_window(self) -> None:
        """Nothing to note: the requests' own records say it all."""

    def end_window(self, requests: Sequence[TaskRequests], window_s: float) -> WindowFindings:
        """What the requests of all tasks prove."""
        served = [
            Served(
                task,
                request.started,
                request.completed,
                self._alone[task.name].device_s,
                self._alone[task.name].executed,
            )
            for task, request in zip(self.trial.tasks, requests, strict=True)
            if task in self._running
        ]
        busy_s = sum(
            each.device_s * int((each.completed <= window_s * 1e9).sum()) for each in served
        )
        saturation = busy_s / window_s if window_s else 0.0
        if not self.trial.arm.is_treatment:
            return WindowFindings(saturation=saturation)
        if self._kind.claim is Claim.strict_priority:
            check = proof_on_gpus.check_window(served, int(window_s * 1e9))
            counted = proof_on_gpus.preemptions(served)
            return WindowFindings(proof.Proof((check,)), saturation, counted)
        # Under other policies requests do not tell who was suspended for whom.
        checks = proof.Proof()
        if self._kind.claim is Claim.shares and all(task.closed for task in self._running):
            checks = proof.Proof((proof_on_gpus.check_shares(served),))
        return WindowFindings(checks, saturation, preemptions=None)

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """What dies here takes the whole process with it, and the parent sees that."""
        readable([] if stop_fd is None else [stop_fd], timeout_s)
        return ""


def _last_change(value: Callable[[], int], watch_s: float) -> float:
    """Watch for so long; when the value was last seen to change, or the beginning."""
    since = time.monotonic()
    changed, before = since, value()
    while time.monotonic() - since < watch_s:
        time.sleep(SAMPLE_S)
        if (now := value()) != before:
            changed, before = time.monotonic(), now
    return changed
