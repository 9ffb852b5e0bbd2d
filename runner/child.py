"""The trial's own process: set up, prove, measure, send. The parent only starts and follows it.

Run as ``python -m runner.child``; its one argument is JSON with inherited descriptors. What it
sends back, in order: `Saying`s, `Solo` once, `Ready`, and after the parent's go `Outcome`.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from models import ModelSpec
from runner import arrivals
from runner.messages import Outcome, Ready, Saying, Solo
from runner.platforms.host_session import HostSession
from runner.proof import FAILED, Proof
from runner.recording import Recording
from runner.spec import TrialSpec
from runner.worker import StopSignal, run_task
from xsched_bindings.errors import DeviceLost, XSchedError
from xsched_bindings.host.device import DeviceSession
from xsched_bindings.host.processes import die_with_parent, exact_timers

#: From the go to the common start: time for every worker to be asleep.
LEAD_NS = 50_000_000
WATCH_S = 0.5
#: After the stop, how long requests in flight may take to end.
WIND_DOWN_S = 60.0


class Lost(RuntimeError):
    """Something that the trial needs has died."""


class Trial:
    """One trial inside its process."""

    def __init__(
        self, spec: TrialSpec, session: HostSession, recording: Recording, parent: Connection
    ) -> None:
        self.spec, self.session, self.recording, self.parent = spec, session, recording, parent
        self.writers = [recording.writer(index) for index in range(len(spec.tasks))]
        self.proof = Proof()
        self.cut = False
        self.timing_s: dict[str, float] = {}

    def run(self, solo: dict[ModelSpec, float]) -> Outcome:
        with self._timed("load"):
            self.session.open()
        with self._timed("warm_up"):
            self._warm_up()
        with self._timed("calibrate"):
            unknown = {task.model for task in self.spec.tasks} - set(solo)
            solo = solo | self.session.calibrate(sorted(unknown, key=repr))
            self.parent.send(Solo({model: solo[model] for model in unknown}))
        with self._timed("prove"):
            self.proof = self.session.open_queues()
        if self.proof.verdict == FAILED:
            return self._outcome()
        self.parent.send(Ready())
        self.parent.recv()
        with self._timed("window"):
            self.session.begin_window()
            for group in self.spec.groups:
                self._run_group(group, solo)
            checks, summary = self.session.end_window()
        self.proof = self.proof + checks.checks
        return self._outcome(**summary)

    def _outcome(self, **summary: Any) -> Outcome:
        failure = self.proof.failure if self.proof.verdict == FAILED else ""
        return Outcome(self.proof, failure, self.cut, timing_s=self.timing_s, **summary)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.timing_s[step] = time.monotonic() - start

    def _warm_up(self) -> None:
        for index in sorted({index for group in self.spec.groups for index in group}):
            self.parent.send(Saying(f"warming up {self.spec.tasks[index].name}"))
            for _ in range(self.spec.warmup):
                started_ns = time.monotonic_ns()
                self.session.lanes[index].request()
                self.writers[index].record(started_ns, started_ns, time.monotonic_ns())

    def _run_group(self, group: list[int], solo: dict[ModelSpec, float]) -> None:
        """Run these tasks side by side until all have completed their requests."""
        stop = StopSignal()
        errors: list[BaseException] = []

        def on_done() -> bool:
            if self.recording.all_done(group):
                stop.set()
            return self.spec.keep_load

        def work(index: int, start_ns: int, schedule: Any) -> None:
            task = self.spec.tasks[index]
            request, writer = self.session.lanes[index].request, self.writers[index]
            try:
                run_task(request, schedule, task.requests, start_ns, writer, stop, on_done)
            except BaseException as error:
                errors.append(error)
                stop.set()

        schedules = [self._schedule(index, solo) for index in group]
        start_ns = time.monotonic_ns() + LEAD_NS
        threads = [
            threading.Thread(target=work, args=(index, start_ns, schedule), daemon=True)
            for index, schedule in zip(group, schedules, strict=True)
        ]
        for thread in threads:
            thread.start()
        self._follow(threads, start_ns, stop)
        if errors:
            raise errors[0]

    def _schedule(self, index: int, solo: dict[ModelSpec, float]) -> Any:
        task = self.spec.tasks[index]
        if task.load is None:
            return None
        gap_ns = solo[task.model] * 1e9 / task.load
        return arrivals.endless(arrivals.jitter(gap_ns, self.spec.seed, task.name))

    def _follow(self, threads: list[threading.Thread], start_ns: int, stop: StopSignal) -> None:
        """Wait for the workers, twice a second looking whether everything is still alive."""
        limit_ns = start_ns + int(self.spec.limit_s * 1e9)
        while not stop.is_set and any(thread.is_alive() for thread in threads):
            self._look_after(stop.fd, WATCH_S)
            if time.monotonic_ns() > limit_ns and not stop.is_set:
                self.cut = True
                stop.set()
        give_up = time.monotonic() + WIND_DOWN_S
        for thread in threads:
            while thread.is_alive():
                thread.join(0.02)
                self._look_after(None, 0.0)
                if time.monotonic() > give_up:
                    raise Lost(f"requests did not end within {WIND_DOWN_S:.0f} s of the window")

    def _look_after(self, stop_fd: int | None, timeout_s: float) -> None:
        if trouble := self.session.watch(stop_fd, timeout_s):
            raise Lost(trouble)


def main(argument: str) -> None:
    die_with_parent()
    exact_timers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    fds = json.loads(argument)
    parent = Connection(fds["parent"])
    spec_dict, solo = parent.recv()
    spec = TrialSpec.from_dict(spec_dict)
    recording = Recording(fds["recording"], len(spec.tasks))
    if fds["cores"]:
        os.sched_setaffinity(0, fds["cores"])
    session = HostSession(
        spec, DeviceSession.from_fd(fds["device"]), lambda text: parent.send(Saying(text))
    )
    trial = Trial(spec, session, recording, parent)
    try:
        outcome = trial.run(solo)
    except (Lost, DeviceLost, XSchedError, RuntimeError) as error:
        traceback.print_exc()
        words = session.watch(None, 0.2) or str(error)
        outcome = Outcome(trial.proof, error=words)
    parent.send(outcome)
    # The device kills the executors with the session; closing queues of a lost one would wait.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
