"""Nothing hangs, and nothing stands still unnoticed: whatever ends, stops or fills up in a trial,
it comes to an end that says why, and leaves nothing behind."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from models import ModelSpec
from runner.config.arms import Arm
from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.config.spec import TrialSpec
from runner.platforms.contract import (
    SHORTEST_STANDSTILL_S,
    ChildSetup,
    Observations,
    WindowFindings,
)
from runner.platforms.host import limits as host_limits
from runner.platforms.host.session import HostSession
from runner.platforms.kinds.host import LOADER, HostPlatform
from runner.runs.summary import summarise
from runner.trial import limits
from runner.trial.beat import Beat
from runner.trial.recording import Recording
from runner.trial.run import TrialResult, run_trial
from runner.trial.status import Status
from tests import forked
from tests.conftest import command, environment
from tests.runner.trial import idle
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host import Device, DeviceSession, HostScheduler, HostStream
from xsched_bindings.policies.base import Decision
from xsched_bindings.policies.hpf import HighestPriorityFirst
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

MODEL = ModelSpec("synthetic", size=20, work_us=1000)


class IdlePlatform:
    """Over processes that are as they are, but whose requests only sleep. in_window(pids): what
    happens once all have measured something."""

    device_cores = ()

    def __init__(
        self,
        fault: str = "",
        processes: int = 1,
        in_window: Callable[[list[int]], None] = lambda pids: None,
    ) -> None:
        self._fault, self._processes, self._in_window = fault, processes, in_window
        self._begun, self._over = threading.Event(), False
        self.pids: list[int] = []

    def open(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None: ...

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        everyone = list(range(len(trial.tasks)))
        shares = [everyone] if self._processes == 1 else [[index] for index in everyone]
        return [
            ChildSetup(
                tasks, details={"fault": self._fault}, module=idle.__name__, start=forked.child
            )
            for tasks in shares
        ]

    def release_children(self) -> None: ...

    def trouble(self) -> str:
        return ""

    def last_words(self, folder: Path) -> list[Path]:
        return []

    def begin_window(self, pids: Sequence[int]) -> None:
        self.pids = list(pids)
        self._meanwhile = threading.Thread(target=self._once_begun)
        self._meanwhile.start()

    def _once_begun(self) -> None:
        self._begun.wait()
        if not self._over:
            self._in_window(self.pids)

    def say(self, text: str) -> None: ...

    def show(self, recording: Recording) -> None:
        """It follows the trial's progress, too."""
        if all(recording.progress(task)[0] for task in range(recording.tasks)):
            self._begun.set()

    def end_window(self, folder: Path) -> Observations:
        self._over = True
        self._begun.set()
        self._meanwhile.join()
        return Observations()

    def end_trial(self) -> None: ...


def two_tasks(arm: str = "native", **changes: object) -> TrialSpec:
    config = Config()
    config.platform.name = "host"
    config.arm.name = Arm(arm)
    config.warmup = 2
    config.task_set.requests, config.task_set.lead_in_s = 5, 0
    model = ModelOverride(name=MODEL.name, size=MODEL.size, work_us=MODEL.work_us)
    config.task_set.tasks = {
        "first": TaskConfig(priority=1, model=model),
        "second": TaskConfig(priority=0, model=model),
    }
    return replace(resolve(config), **changes)


def trial(folder: Path, platform: IdlePlatform, spec: TrialSpec | None = None) -> TrialResult:
    return run_trial(spec or two_tasks(), platform, {}, folder, platform, lambda: None)  # type: ignore[arg-type]


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        ("start", "OSError"),
        ("open", "MemoryError"),
        ("warm_up", "SystemExit"),
        ("calibrate", "KeyError"),
        ("prove", "KeyboardInterrupt"),
        ("begin", "error"),
        ("request", "GeneratorExit"),
        ("request", "MemoryError"),
        ("watch", "OSError"),
        ("end", "OSError"),
        ("send", "KeyError"),
    ],
)
def test_an_error_of_any_kind_in_any_phase_ends_the_trial_and_is_its_reason(
    tmp_path: Path, phase: str, kind: str
) -> None:
    begun_s = time.monotonic()
    ended = trial(tmp_path, IdlePlatform(idle.raises(phase, idle.KINDS[kind])))
    assert ended.status is Status.FAILED
    assert "out of luck" in ended.reason
    assert kind in ended.reason
    assert time.monotonic() - begun_s < limits.WIND_DOWN_S, "it waited for none of the limits"


def test_an_error_in_one_of_two_processes_ends_both(tmp_path: Path) -> None:
    platform = IdlePlatform(idle.raises("request", MemoryError), processes=2)
    ended = trial(tmp_path, platform)
    assert (ended.status, ended.reason) == (Status.FAILED, "MemoryError: out of luck")
    assert not any(map(psutil.pid_exists, platform.pids))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_is_killed_in_the_window_is_the_reason(
    tmp_path: Path, processes: int
) -> None:
    def kill(pids: list[int]) -> None:
        os.kill(pids[-1], signal.SIGKILL)

    platform = IdlePlatform(processes=processes, in_window=kill)
    ended = trial(tmp_path, platform, two_tasks(duration_s=30.0))
    assert ended.status is Status.FAILED
    assert "was killed by SIGKILL" in ended.reason
    assert min(len(task.completed) for task in ended.requests) > 0, "what was measured is kept"
    assert not any(map(psutil.pid_exists, platform.pids))


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)


def two_streams(session: DeviceSession) -> list[HostStream]:
    return [session.open_stream([MODEL.as_dict()]) for _ in range(2)]


def test_an_error_in_the_scheduler_holds_up_nobody(
    session: DeviceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had suspended goes on, and whoever waits hears of it."""
    low, high = two_streams(session)
    broken = threading.Event()

    def decide(*_: object) -> Decision:
        if broken.is_set():
            raise MemoryError("out of luck")
        return Decision(frozenset())

    monkeypatch.setattr(HighestPriorityFirst, "decide", decide)
    scheduler = HostScheduler()
    scheduler.set_scheduler(SchedulerType.local, PolicyType.hpf)
    queue = scheduler.create_queue(low, PreemptLevel.interrupt)
    scheduler.create_queue(high, PreemptLevel.interrupt)
    low.submit(low.programs[0])
    wait_for(lambda: queue.suspended)
    broken.set()
    with suppress(DeviceLost):
        high.submit(high.programs[0])
    wait_for(lambda: low.completed == MODEL.size)
    with pytest.raises(DeviceLost, match=r"the scheduler has ended: MemoryError\('out of luck'\)"):
        low.synchronize()
        low.submit(low.programs[0])


def test_an_error_in_a_launch_worker_reaches_whoever_waits(
    session: DeviceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, _ = two_streams(session)
    HostScheduler().create_queue(stream, PreemptLevel.block)

    def fail(codes: bytes) -> None:
        raise MemoryError("out of luck")

    monkeypatch.setattr(stream, "write", fail)
    stream.submit(stream.programs[0])
    with pytest.raises(DeviceLost, match="out of luck"):
        stream.synchronize()


# --- standstills -------------------------------------------------------------------------------

STOP_S = 3.5
assert STOP_S > SHORTEST_STANDSTILL_S + 1.0, "so that it is long by any look"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


def test_a_trial_that_was_stopped_in_the_window_is_not_valid(tmp_path: Path) -> None:
    def stop(pids: list[int]) -> None:
        with stopped(pids[0]):
            time.sleep(STOP_S)

    spec = two_tasks(duration_s=5.0)
    ended = trial(tmp_path, IdlePlatform(in_window=stop), spec)
    (stood,) = ended.stood_still
    assert stood.who == "the trial's process"
    assert stood.seconds >= SHORTEST_STANDSTILL_S
    summary = summarise(spec, ended, "r")
    assert (summary.status, summary.valid) == (Status.FINISHED, False)
    note = f"not valid: the trial's process stood still for {stood.seconds:.1f} s of the window"
    assert note in summary.notes


def test_one_of_two_processes_that_was_stopped_is_named(tmp_path: Path) -> None:
    def stop(pids: list[int]) -> None:
        with stopped(pids[1]):
            time.sleep(STOP_S)

    ended = trial(tmp_path, IdlePlatform(processes=2, in_window=stop), two_tasks(duration_s=5.0))
    assert [stood.who for stood in ended.stood_still] == ["the process of task second"]


def test_a_busy_machine_is_no_standstill(tmp_path: Path) -> None:
    def keep_busy(pids: list[int]) -> None:
        cores = 2 * [[sys.executable, "-c", "while True: pass"]] * len(os.sched_getaffinity(0))
        loops = [subprocess.Popen(arguments) for arguments in cores]
        time.sleep(2.5)
        for loop in loops:
            loop.kill()
            loop.wait()

    ended = trial(tmp_path, IdlePlatform(in_window=keep_busy), two_tasks(duration_s=4.0))
    assert (ended.status, ended.stood_still) == (Status.FINISHED, ())


def test_a_machine_that_slept_is_told_by_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    beat = Beat("the trial's process")
    clock = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda number: clock(number) + 30)
    beat.look(0.0)
    beat.look(0.0)
    (stood,) = beat.found
    assert (stood.who, round(stood.seconds)) == ("the machine", 30)


def seen(session: DeviceSession, arm: str, meanwhile: Callable[[HostSession], None]) -> list[str]:
    """Who stood still while this happened in a window of the host platform."""
    measured = HostSession(two_tasks(arm, scheduler="local"), session, lambda text: None)
    measured.open()
    if arm == "xsched":
        measured.schedule()
    measured.begin_window()
    meanwhile(measured)
    found: WindowFindings = measured.end_window()
    return [stood.who for stood in found.stood_still]


def look(measured: HostSession) -> None:
    until_s = time.monotonic() + STOP_S
    while time.monotonic() < until_s:
        assert measured.watch(None, 0.5) == ""


def test_an_executor_that_nobody_suspended_stood_still(session: DeviceSession) -> None:
    """One that its queue's level has stopped did not."""

    def stop(measured: HostSession) -> None:
        first, second = measured.lanes
        assert second.queue is not None
        second.queue.set_preempt_level(PreemptLevel.interrupt)
        second.queue.suspend()
        with stopped(first.stream.pid):
            look(measured)
        second.queue.resume()

    assert seen(session, "xsched", stop) == ["the executor of task first"]


def test_a_device_that_was_stopped_stood_still() -> None:
    def stop(measured: HostSession) -> None:
        with stopped(device.process.pid):
            look(measured)

    with Device(LOADER) as device, device.connect() as session:
        assert seen(session, "native", stop) == ["the device process"]


def test_a_device_that_gives_no_answer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xsched_bindings.host.warm.ANSWER_S", 0.2)
    with Device(LOADER) as device, device.connect() as session:
        measured = HostSession(two_tasks("native"), session, lambda text: None)
        measured.open()
        with stopped(device.process.pid):
            os.kill(measured.lanes[0].stream.pid, signal.SIGKILL)
            assert "the device process gave no answer for 0.2 s" in measured.watch(None, 5.0)


# --- limits of the operating system ------------------------------------------------------------

QUICK = ("task_set=smoke", "task_set.requests=2", "arm=native", "tracking=none", "warmup=1")
FULL = """
import os, sys
from runner.commands.run import main
for _ in range(1100):
    os.open(os.devnull, os.O_RDONLY)
main()
"""


def ended(arguments: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*arguments, f"output_root={folder}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_descriptors_above_1023_are_as_good_as_others(tmp_path: Path) -> None:
    """select() takes none of them."""
    raised = ["bash", "-c", 'ulimit -n 4096 && exec "$@"', "bash"]
    done = ended([*raised, sys.executable, "-c", FULL, *QUICK], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def many(arm: str = "native") -> TrialSpec:
    spec = two_tasks(arm)
    tasks = (replace(spec.tasks[0], name=f"t{number}") for number in range(300))
    return replace(spec, tasks=tuple(tasks))


def test_300_tasks_have_a_way_to_the_device(session: DeviceSession) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    host_limits.lift()
    measured = HostSession(many(), session, lambda text: None)
    measured.open()
    last = measured.lanes[-1]
    assert last.stream.pidfd > 1023
    last.request()
    assert measured.watch(None, 0.0) == ""
    os.kill(last.stream.pid, signal.SIGKILL)
    assert measured.watch(None, 30.0) == "the executor of task t299 was lost: killed by SIGKILL"
    for lane in measured.lanes:
        lane.stream.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("limit", "allows", "says"),
    [
        (
            resource.RLIMIT_NOFILE,
            1024,
            "1864 descriptors; ulimit -Hn allows 1024: raise that, or fewer tasks",
        ),
        (resource.RLIMIT_NPROC, 400, "300 tasks need 916 processes and threads; ulimit -Hu allows"),
    ],
)
def test_what_the_limits_do_not_allow_is_refused(
    monkeypatch: pytest.MonkeyPatch, limit: int, allows: int, says: str
) -> None:
    platform, ask = HostPlatform(device_cores=1), resource.getrlimit
    assert platform.missing(many()) == ""
    set_to = {limit: (allows, allows)}
    monkeypatch.setattr(resource, "getrlimit", lambda number: set_to.get(number) or ask(number))
    assert says in platform.missing(many())


def test_more_tasks_than_a_stream_serves_are_refused() -> None:
    says = "300 tasks of arm default_stream share a stream, which serves 250: fewer tasks"
    assert HostPlatform(device_cores=1).missing(many("default_stream")) == says


def test_a_refusal_for_a_limit_comes_before_the_start(tmp_path: Path) -> None:
    below = ["bash", "-c", 'ulimit -n 72 && exec "$@"', "bash"]
    done = ended([*below, *command(*QUICK)], tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "platform=host: 2 tasks need 76 descriptors; ulimit -Hn allows 72" in done.stderr
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_one_message(tmp_path: Path) -> None:
    limited = ["bash", "-c", 'ulimit -v 150000 && exec "$@"', "bash"]
    done = ended([*limited, *command(*QUICK)], tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "ulimit -v=150000: that is too little memory" in done.stderr
    assert "Traceback" not in done.stderr
