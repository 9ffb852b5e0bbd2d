"""A trial on a GPU, seen from inside one of the trial's processes.

Order of work (XSched wants the scheduler before the queues and the hints after them): open streams,
warm up and calibrate on the bare streams, prove levels on queues of the app-managed scheduler, then
open the queues of the measurement under its policy and prove interception and policy. With one
process a task each step is taken together; what must be alone on the device is done in turn.
"""

import os
import random
import select
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

from models import ModelSpec
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.calibration import solo_times
from runner.platforms.contract import Peers, WindowFindings
from runner.platforms.gpu import xserver
from runner.platforms.gpu.accelerator import Accelerator, QueueMaker, Stream
from runner.proof import checks as proof
from runner.proof import on_gpus as proof_on_gpus
from runner.proof.on_gpus import Course, Served
from xsched_bindings.interface import Queue
from xsched_bindings.policies import create_policy
from xsched_bindings.types import (
    PRIORITY_DEFAULT,
    PolicyType,
    PreemptLevel,
    SchedulerType,
)

#: Probe units beyond what a threshold keeps in flight, and those that lower tasks are ahead by.
PROBE_MARGIN = 40
HEAD_START = 8
SAMPLE_S = 0.0003
#: From a meeting to the common start of a rehearsal.
LEAD_NS = 20_000_000
#: For a hint to reach the policy, which takes it in a thread or process of its own.
HINT_S = 0.05
#: How long taking away a context's time slice may take to stop what runs (level interrupt).
INTERRUPT_S = 0.002


@dataclass
class Lane:
    """One task's way to the device."""

    task: TaskSpec
    stream: Stream
    request: Callable[[], None]
    queue: Queue | None = None


class GpuSession:
    """Streams and queues of some of a trial's tasks. start: see `the contract's `ChildSetup``."""

    def __init__(
        self,
        trial: TrialSpec,
        tasks: list[int],
        details: dict[str, Any],
        device: Accelerator,
        say: Callable[[str], None],
    ) -> None:
        self.trial = trial
        self.lanes: list[Lane] = []
        self._tasks = [trial.tasks[index] for index in tasks]
        self._running = [
            trial.tasks[index] for index in sorted({i for group in trial.groups for i in group})
        ]
        self._device, self._details, self._say = device, details, say
        self._plane: QueueMaker | None = None
        self._random = random.Random(trial.seed)
        #: Device time and commands of a request by task, of all processes.
        self._device_s: dict[str, float] = {}
        self._commands: dict[str, int] = {}

    # --- set-up ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models and open every task's stream."""
        ranks = self._device.hints(len(self.trial.priorities))
        for task in self._tasks:
            self._say(f"loading {task.model.name}")
            hint = None
            if self.trial.arm == "stream_priority":
                hint = ranks[self.trial.priorities.index(task.priority)]
            stream = self._device.open_stream(hint, default=self.trial.arm == "default_stream")
            self.lanes.append(Lane(task, stream, self._device.load(task.model, stream)))

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        return solo_times(self.lanes, models, self._say)

    # --- proof before the window -----------------------------------------------------------------

    def prove(self, peers: Peers) -> proof.Proof:
        """Put XSched's queues on the streams and prove that they work. Arms without XSched claim
        nothing, but stream_priority that the streams have their hint."""
        if self.trial.uses_xsched:
            return self._prove_xsched(peers)
        # The witness looks at every arm: for device times, and lest one be measured in a state that
        # others are not in.
        self._look(peers)
        if self.trial.arm == "stream_priority":
            ranks = self._device.hints(len(self.trial.priorities))
            order = {t.name: self.trial.priorities.index(t.priority) for t in self._tasks}
            asked = {name: ranks[rank] for name, rank in order.items()}
            found = {lane.task.name: lane.stream.priority for lane in self.lanes}
            return proof.Proof((proof.check_hardware_hint(asked, found),))
        return proof.Proof()

    def _look(self, peers: Peers) -> list[proof.Interception]:
        """One request of every task before the witness, alone on the device."""

        def look() -> list[tuple[proof.Interception, float]]:
            return [self._look_at(lane) for lane in self.lanes]

        found = [*chain(*peers.in_turn(look))]
        self._commands = {each.task: each.executed for each, _ in found}
        self._device_s = {each.task: device_s for each, device_s in found}
        return [each for each, _ in found]

    def _look_at(self, lane: Lane) -> tuple[proof.Interception, float]:
        before = lane.queue.count() if lane.queue else 0
        executed, device_s = self._device.witness(lane.request, lane.stream)
        counted = (lane.queue.count() if lane.queue else 0) - before
        return proof.Interception(lane.task.name, executed, counted), device_s

    def _prove_xsched(self, peers: Peers) -> proof.Proof:
        trial = self.trial
        self._plane = plane = self._device.library(self._details["library"])
        self._say("proving the preemption level")
        plane.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        suspensions = [*chain(*peers.in_turn(self._suspensions))]
        checks = [proof.check_level(suspensions)]
        self._say("proving interception and policy")
        plane.set_scheduler(SchedulerType.by_name(trial.scheduler), PolicyType[trial.policy])
        plane.set_timeslice(trial.timeslice_us)
        for lane in self.lanes:
            lane.queue = self._open_queue(lane)
        self._hint()
        time.sleep(HINT_S)
        checks.append(proof.check_interception(self._look(peers)))
        if address := self._details["server"]:
            asked = [*chain(*peers.gather(self._asked_of_server()))]
            checks.append(proof_on_gpus.check_server(asked, xserver.queues(address)))
        checks.append(self._prove_policy(peers))
        return proof.Proof(tuple(checks), tuple(suspensions))

    def _open_queue(self, lane: Lane) -> Queue:
        assert self._plane is not None
        queue = self._plane.create_queue(lane.stream.pointer, lane.task.level)
        queue.set_launch_config(lane.task.threshold, lane.task.batch_size)
        return queue

    def _hint(self) -> None:
        null = self.trial.arm == "xsched_null"
        for lane in self.lanes:
            assert lane.queue is not None
            task, queue = lane.task, lane.queue
            queue.hint_priority(PRIORITY_DEFAULT if null else task.priority)
            if task.utilization is not None:
                equal = 100 // len(self._running)
                queue.hint_utilization(equal if null else task.utilization)

    def _suspensions(self) -> list[proof.Suspension]:
        found = []
        for lane in self.lanes:
            with self._open_queue(lane) as queue:
                found += [self._suspension(lane, queue) for _ in range(self.trial.probes)]
        return found

    def _suspension(self, lane: Lane, queue: Queue) -> proof.Suspension:
        """Suspend at a random moment and count what completes."""
        unit_s, task = self._device.unit_s, lane.task
        limit = proof.bound(task.level, task.threshold)
        end = lane.stream.probe_units + _probe_units(task)
        lane.stream.submit_probe(_probe_units(task))
        time.sleep(self._random.uniform(2, HEAD_START) * unit_s)
        suspended_s = time.monotonic()
        queue.suspend()
        if task.level is PreemptLevel.interrupt:
            time.sleep(INTERRUPT_S)
        at_suspension = lane.stream.probe_units
        last_s = _last_change(lambda: lane.stream.probe_units, (limit / 2 + 8) * unit_s)
        quiet_at = lane.stream.probe_units
        time.sleep(8 * unit_s)
        quiet = lane.stream.probe_units == quiet_at
        queue.resume()
        lane.stream.synchronize()
        return proof.Suspension(
            task.name,
            task.level,
            task.threshold,
            passed=proof_on_gpus.certain_commands(quiet_at - at_suspension),
            pending=end - quiet_at,
            quiet=quiet,
            resumed=lane.stream.probe_units == end,
            quiet_ms=max(0.0, last_s - suspended_s) * 1e3,
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

    def _prove_policy(self, peers: Peers) -> proof.Check:
        courses = self._rehearse(peers, self._must_be_suspended())
        null = self.trial.arm == "xsched_null"
        if self.trial.policy == "up" and not null:
            return proof_on_gpus.check_turns(courses, self._device.unit_s)
        if null:
            intervals = proof_on_gpus.standing_still(courses)
            return proof.check_policy("hpf", [], intervals if self.trial.policy == "hpf" else [])
        intervals = proof_on_gpus.hpf_intervals(self._running, courses)
        return proof.check_policy("hpf", self._must_be_suspended(), intervals)

    def _must_be_suspended(self) -> list[str]:
        """Tasks that the policy suspends when all have work, asked of a pure instance of it."""
        if self.trial.arm == "xsched_null":
            return []
        oracle = create_policy(self.trial.policy)
        for number, task in enumerate(self._running):
            oracle.hint_priority(number, task.priority)
            if task.utilization is not None:
                oracle.hint_utilization(number, task.utilization)
        run = oracle.decide(dict.fromkeys(range(len(self._running)), 0), 0).run
        return [task.name for number, task in enumerate(self._running) if number not in run]

    def _rehearse(self, peers: Peers, lower: Sequence[str]) -> list[Course]:
        """Every task of the trial runs its probe under the live policy; those of `lower` begin
        first, so that they are at work when they must be suspended."""
        start_ns = max(peers.gather(time.monotonic_ns())) + LEAD_NS
        head_start_ns = int(HEAD_START * self._device.unit_s * 1e9)
        longest = max(_probe_units(task) for task in self._running)

        def run(lane: Lane) -> tuple[int, int]:
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
                self._device_s[task.name],
                self._commands[task.name],
            )
            for task, request in zip(self.trial.tasks, requests, strict=True)
            if task in self._running
        ]
        busy_s = sum(
            each.device_s * int((each.completed <= window_s * 1e9).sum()) for each in served
        )
        saturation = busy_s / window_s if window_s else 0.0
        if self.trial.arm != "xsched":
            return WindowFindings(saturation=saturation)
        if self.trial.policy == "hpf":
            check = proof_on_gpus.check_window(served, int(window_s * 1e9))
            counted = proof_on_gpus.preemptions(served)
            return WindowFindings(proof.Proof((check,)), saturation, counted)
        # Under other policies requests do not tell who was suspended for whom.
        checks = proof.Proof()
        if self.trial.policy == "up" and all(task.closed for task in self._running):
            checks = proof.Proof((proof_on_gpus.check_shares(served),))
        return WindowFindings(checks, saturation, preemptions=None)

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        """Wait until `stop_fd` is readable or `timeout_s` passes. What dies here takes the whole
        process with it, and the parent sees that."""
        select.select([] if stop_fd is None else [stop_fd], [], [], timeout_s)
        return ""


def _probe_units(task: TaskSpec) -> int:
    """So many that some are pending when a suspended queue is quiet."""
    return task.threshold // 2 + PROBE_MARGIN


def _last_change(value: Callable[[], int], watch_s: float) -> float:
    """Watch for so long; when the value was last seen to change, or the beginning."""
    since = time.monotonic()
    changed, before = since, value()
    while time.monotonic() - since < watch_s:
        time.sleep(SAMPLE_S)
        if (now := value()) != before:
            changed, before = time.monotonic(), now
    return changed
