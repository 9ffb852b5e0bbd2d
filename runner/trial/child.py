"""A process of the trial: set up, prove, measure, send. The parent only starts and follows it.

Run as ``python -m runner.trial.child FD``, the descriptor of its connection to the parent, which
says `Begin` first. A trial has one process or, with placement `processes`, one for each task; all
of them run this code, each over its own tasks, and meet at every step (`runner.trial.peers`). What
a process sends back, in order: `Saying`s and `Gather`s, `Solo` once, `Ready`, and after the
parent's `Go` `Outcome`.
"""

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from models import ModelSpec
from runner.config import arrivals
from runner.config.spec import TrialSpec
from runner.platforms.choose import open_session
from runner.platforms.contract import Session, TaskLane, WindowFindings
from runner.proof.checks import Proof, Verdict
from runner.trial.beat import Beat
from runner.trial.limits import WIND_DOWN_S
from runner.trial.messages import Begin, Outcome, Ready, Role, Saying, Solo
from runner.trial.peers import Peers
from runner.trial.recording import Recording
from runner.trial.worker import StopSignal, run_task
from xsched_bindings.host.processes import die_with_parent, exact_timers

#: Warm-up requests whose median is compared with that of as many before them, by how much the two
#: may differ, and after how many requests a task is called not steady.
STRETCH = 2
STEADY = 0.1
WARMUP_LIMIT = 12
#: From the go to the common start: time for every worker to be asleep.
LEAD_NS = 50_000_000
WATCH_S = 0.5
#: From an error to the end of the process that is its cause.
AFTERMATH_S = 0.2
WIND_DOWN_LOOK_S = 0.02
#: Requests of a window that ends by its duration.
ENDLESS = 1 << 62


class Lost(RuntimeError):
    """Something that the trial needs has died."""


def steady(times: list[int]) -> bool:
    """Whether the medians of the last two stretches agree."""
    if len(times) < 2 * STRETCH:
        return False
    before, now = median(times[-2 * STRETCH : -STRETCH]), median(times[-STRETCH:])
    return abs(now - before) <= STEADY * before


class Trial:
    """One process's part of a trial."""

    def __init__(
        self,
        spec: TrialSpec,
        role: Role,
        session: Session,
        recording: Recording,
        parent: Connection,
    ) -> None:
        self.spec, self.session, self.recording = spec, session, recording
        self.parent, self.peers = parent, Peers(parent, role.number, role.count)
        self.tasks, self.stop_fds = role.tasks, role.stop_fds
        self.lanes: dict[int, TaskLane] = {}
        self.writers = {index: recording.writer(index) for index in self.tasks}
        # A thread a task for all of its life: libraries keep handles and workspaces by thread, and
        # none may be made in the window.
        self.threads = {index: ThreadPoolExecutor(1) for index in self.tasks}
        self.proof = Proof()
        self.cut = False
        alone = role.count == 1
        name = spec.tasks[role.tasks[0]].name
        self.beat = Beat("the trial's process" if alone else f"the process of task {name}")
        self.unsteady: tuple[str, ...] = ()
        self.timing_s: dict[str, float] = {}

    def run(self, solo: dict[ModelSpec, float]) -> Outcome:
        with self._timed("load"):
            self.session.open()
            self.lanes = dict(zip(self.tasks, self.session.lanes, strict=True))
        with self._timed("warm_up"):
            self._warm_up()
        with self._timed("calibrate"):
            unknown = {task.model for task in self.spec.tasks} - set(solo)
            for seconds in self.peers.in_turn(
                lambda: self.session.calibrate(sorted(unknown, key=repr))
            ):
                solo = seconds | solo
            self.parent.send(Solo({model: solo[model] for model in unknown & set(solo)}))
        with self._timed("prove"):
            self.proof = self.session.prove(self.peers)
        if self.proof.verdict is Verdict.FAILED:
            return self._outcome()
        # A collection of all that the libraries have made holds the interpreter for tens of
        # milliseconds, and the requests leave next to nothing to collect.
        gc.collect()
        gc.freeze()
        gc.disable()
        self.parent.send(Ready())
        self.parent.recv()
        with self._timed("window"):
            self.session.begin_window()
            for group, stop_fd in zip(self.spec.groups, self.stop_fds, strict=True):
                self._run_group(group, StopSignal(stop_fd, self._flag(group)), solo)
            found = self.session.end_window()
            stood = chain.from_iterable(self.peers.gather(self.beat.found))
            found = replace(found, stood_still=(*stood, *found.stood_still))
        return self._outcome(found)

    def _flag(self, group: list[int]) -> memoryview:
        return self.recording.stop_flag(group[0])

    def _outcome(self, found: WindowFindings | None = None) -> Outcome:
        failure = self.proof.failure if self.proof.verdict is Verdict.FAILED else ""
        return Outcome(
            self.proof,
            failure,
            self.cut,
            timing_s=self.timing_s,
            unsteady=self.unsteady,
            found=found or WindowFindings(),
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.timing_s[step] = time.monotonic() - start

    def _warm_up(self) -> None:
        unsteady = []
        for index in self.tasks:
            if self.spec.warmup and any(index in group for group in self.spec.groups):
                name = self.spec.tasks[index].name
                self.parent.send(Saying(f"warming up {name}"))
                if not self.threads[index].submit(self._warm_up_task, index).result():
                    unsteady.append(name)
        self.unsteady = tuple(name for part in self.peers.gather(unsteady) for name in part)

    def _warm_up_task(self, index: int) -> bool:
        """At least `warmup` requests, then until they are steady; whether they came to be."""
        times: list[int] = []
        while len(times) < max(self.spec.warmup, WARMUP_LIMIT):
            started_ns = time.monotonic_ns()
            self.lanes[index].request()
            completed_ns = time.monotonic_ns()
            self.writers[index].record(started_ns, started_ns, completed_ns)
            times.append(completed_ns - started_ns)
            if len(times) >= self.spec.warmup and steady(times):
                return True
        return False

    def _run_group(self, group: list[int], stop: StopSignal, solo: dict[ModelSpec, float]) -> None:
        """Run these tasks side by side until all have completed their requests."""

        lead_in_ns = self.spec.lead_in_ns

        def on_done() -> bool:
            if self.recording.all_done(group):
                stop.set()
            return self.spec.keep_load

        def work(index: int, start_ns: int, schedule: Any) -> None:
            task = self.spec.tasks[index]
            submit, writer = self.lanes[index].submit, self.writers[index]
            requests = ENDLESS if self.spec.duration_s is not None else task.requests
            ending = writer, stop, on_done, lead_in_ns, task.arrival.in_flight
            try:
                run_task(submit, schedule, requests, start_ns, *ending)
            except BaseException:
                stop.set()
                raise

        mine = [index for index in group if index in self.lanes]
        schedules = [self._schedule(index, solo) for index in mine]
        start_ns = max(self.peers.gather(time.monotonic_ns())) + LEAD_NS
        running = [
            self.threads[index].submit(work, index, start_ns, schedule)
            for index, schedule in zip(mine, schedules, strict=True)
        ]
        self.beat.begin()
        self._follow(running, start_ns + lead_in_ns, stop)
        self.cut = any(self.peers.gather(self.cut))

    def _schedule(self, index: int, solo: dict[ModelSpec, float]) -> Any:
        task = self.spec.tasks[index]
        return arrivals.schedule(task, solo[task.model], self.spec.seed)

    def _follow(self, running: list["Future[None]"], window_ns: int, stop: StopSignal) -> None:
        """Wait for the workers, twice a second looking whether everything is still alive.
        window_ns: when the window begins, after the lead-in."""
        planned_s = self.spec.duration_s
        length_s = self.spec.limit_s if planned_s is None else planned_s
        end_ns = window_ns + int(length_s * 1e9)
        while not _have_ended(running) and not stop.is_set:
            left_s = (end_ns - time.monotonic_ns()) / 1e9
            self._look_after(stop.fd, max(0.0, min(WATCH_S, left_s)))
            if time.monotonic_ns() >= end_ns and not stop.is_set:
                self.cut = planned_s is None
                stop.set()
        give_up = time.monotonic() + WIND_DOWN_S
        while not _have_ended(running):
            self._look_after(None, WIND_DOWN_LOOK_S)
            if time.monotonic() > give_up:
                raise Lost(f"requests did not end within {WIND_DOWN_S:.0f} s of the window")

    def _look_after(self, stop_fd: int | None, timeout_s: float) -> None:
        trouble = self.session.watch(stop_fd, timeout_s)
        self.beat.look(timeout_s)
        if trouble:
            raise Lost(trouble)


def _have_ended(workers: list["Future[None]"]) -> bool:
    """Raises what one of them has died of."""
    ended = [worker for worker in workers if worker.done()]
    for worker in ended:
        worker.result()
    return len(ended) == len(workers)


def main(argument: str) -> None:
    """Whatever happens, the parent hears of it."""
    parent = Connection(int(argument))
    part: Trial | None = None
    code = 1
    try:
        part, solo = _join(parent)
        parent.send(part.run(solo))
        code = 0
    except BaseException as error:  # some that matter are no Exception, and nobody else is told
        with suppress(Exception):
            traceback.print_exc()
        proof = part.proof if part else Proof()
        parent.send(Outcome(proof, error=_last_words(part, error)))
        code = 0
    finally:
        # Platforms clean up when their process has gone; closing queues of a lost one would wait.
        os._exit(code)


def _join(parent: Connection) -> tuple[Trial, dict[ModelSpec, float]]:
    """This process's part, and the solo times that are known."""
    die_with_parent()
    exact_timers()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    begin: Begin = parent.recv()
    spec, role = begin.spec, begin.role
    recording = Recording(role.recording_fd, len(spec.tasks))
    if role.cores:
        os.sched_setaffinity(0, role.cores)
    start = {"fds": role.fds, "details": role.details}
    session = open_session(spec, role.tasks, start, lambda text: parent.send(Saying(text)))
    return Trial(spec, role, session, recording, parent), begin.solo


def _last_words(part: Trial | None, error: BaseException) -> str:
    """What has died, or else the error; which kind it is, unless the words were written for a
    person."""
    with suppress(Exception):
        if part and (lost := part.session.watch(None, AFTERMATH_S)):
            return lost
    if isinstance(error, RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1])
