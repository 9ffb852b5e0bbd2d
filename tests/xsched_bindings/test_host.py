"""The host platform with real executor processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import wait

import psutil
import pytest

from models import ModelSpec
from tests.conftest import environment
from xsched_bindings.errors import DeviceLost
from xsched_bindings.host import Device, DeviceSession, HostScheduler, HostStream
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType, SuspendFlag


def synthetic(size: int, work_us: int) -> dict[str, object]:
    return ModelSpec("synthetic", size=size, work_us=work_us).as_dict()


def request(stream: HostStream, program: int = 0) -> None:
    stream.submit(stream.programs[program])
    stream.synchronize()


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process ends; one that init has not reaped yet has ended."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_stream_runs_its_programs_in_order(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(3, 10), synthetic(5, 10)])
    request(stream, 0)
    assert stream.completed == 3
    request(stream, 1)
    assert stream.completed == 8
    assert 0 < stream.last_completed_ns <= time.monotonic_ns()


def test_a_request_of_no_commands_completes(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(0, 0)])
    request(stream)
    HostScheduler().create_queue(stream, PreemptLevel.block)
    request(stream)
    assert stream.completed == 0


def test_more_commands_than_a_pipe_holds(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(50_000, 0)])
    request(stream)
    assert stream.completed == 50_000


def test_waiters_of_a_shared_stream_each_get_their_own_marker(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(1, 100)], waiters=3)
    for waiter in (2, 0, 1, 2):
        stream.submit(stream.programs[0])
        stream.synchronize(waiter)
    assert stream.completed == 4


@pytest.mark.parametrize(
    ("level", "limit"),
    [(PreemptLevel.block, 8), (PreemptLevel.deactivate, 1), (PreemptLevel.interrupt, 0)],
)
def test_a_suspended_queue_completes_no_more_than_its_level_lets(
    session: DeviceSession, level: PreemptLevel, limit: int
) -> None:
    stream = session.open_stream([synthetic(200, 500)])
    with HostScheduler().create_queue(stream, level) as queue:
        queue.set_launch_config(8, 4)
        stream.submit(stream.programs[0])
        for _ in range(5):
            time.sleep(0.003)
            queue.suspend()
            at_suspension = queue.settled()
            time.sleep(0.03)
            assert stream.completed - at_suspension <= limit
            queue.resume()
        stream.synchronize()
    assert stream.completed == 200


def test_a_level_can_be_changed(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(100, 500)])
    with HostScheduler().create_queue(stream, PreemptLevel.block) as queue:
        queue.set_preempt_level(PreemptLevel.interrupt)
        stream.submit(stream.programs[0])
        time.sleep(0.005)
        queue.suspend()
        at_suspension = queue.settled()
        time.sleep(0.02)
        assert stream.stopped
        assert stream.completed == at_suspension < 100


def test_level_1_lets_what_is_in_flight_complete(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(100, 1000)])
    with HostScheduler().create_queue(stream, PreemptLevel.block) as queue:
        queue.set_launch_config(8, 8)
        queue.suspend()
        stream.submit(stream.programs[0])
        queue.resume()
        give_up = time.monotonic() + 10
        while not stream.completed and time.monotonic() < give_up:
            time.sleep(0.001)
        queue.suspend(SuspendFlag.sync_hw_queue)
        time.sleep(0.03)
        # Eight are launched at once, and none is reaped while suspended: whole batches complete.
        assert stream.completed % 8 == 0
        assert 0 < stream.completed < 96


def test_suspending_with_wait_all_suspends_an_empty_queue(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(20, 500)])
    with HostScheduler().create_queue(stream, PreemptLevel.block) as queue:
        stream.submit(stream.programs[0])
        queue.suspend(SuspendFlag.wait_all)
        assert stream.completed == 20


def test_a_stream_takes_one_queue(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(1, 0)])
    scheduler = HostScheduler()
    with scheduler.create_queue(stream, PreemptLevel.block) as queue:
        assert scheduler.create_queue(stream, PreemptLevel.interrupt) is queue
    assert queue.level is PreemptLevel.block


def test_queues_from_before_a_scheduler_are_unknown_to_it(session: DeviceSession) -> None:
    """As in XSched: they land on no device of the new policy, so nothing preempts them."""
    scheduler = HostScheduler()
    early, late = (session.open_stream([synthetic(20, 500)]) for _ in range(2))
    with scheduler.create_queue(early, PreemptLevel.block) as before:
        before.hint_priority(-5)
        scheduler.set_scheduler(SchedulerType.local, PolicyType.hpf)
        with scheduler.create_queue(late, PreemptLevel.block) as after:
            after.hint_priority(5)
            early.submit(early.programs[0])
            late.submit(late.programs[0])
            late.synchronize()
            early.synchronize()
    scheduler.close()
    assert not [event for event in scheduler.log if event.name == "suspend"]


def test_the_log_tells_what_a_preemption_let_pass(session: DeviceSession) -> None:
    scheduler = HostScheduler()
    scheduler.set_scheduler(SchedulerType.local, PolicyType.hpf)
    low, high = (session.open_stream([synthetic(40, 500)]) for _ in range(2))
    low_queue = scheduler.create_queue(low, PreemptLevel.deactivate)
    high_queue = scheduler.create_queue(high, PreemptLevel.deactivate)
    low_queue.hint_priority(1)
    high_queue.hint_priority(2)
    low.submit(low.programs[0])
    time.sleep(0.005)
    request(high)
    low.synchronize()
    low_queue.close()
    high_queue.close()
    scheduler.close()
    events = [event for event in scheduler.log if event.queue == low_queue.handle]
    suspend = next(event for event in events if event.name == "suspend")
    resume = next(event for event in events if event.name == "resume")
    assert suspend.was_ready
    assert suspend.at_ns < resume.at_ns
    assert 0 <= resume.completed - suspend.completed <= 1


def test_niceness_is_the_executors(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(1, 0)], niceness=7)
    request(stream)
    device = os.getpriority(os.PRIO_PROCESS, session.pid)
    assert os.getpriority(os.PRIO_PROCESS, stream.pid) == min(19, device + 7)


#: What a process sees that is nicer than others, or whose user binds threads by OpenMP.
LOOK = """
import os
from xsched_bindings.host import Device
with Device("runner.platforms.host.programs:load", [max(os.sched_getaffinity(0))]) as device:
    with device.connect() as session:
        model = {"name": "bert_mini", "size": 8, "batch_size": 1}
        session.load(model)
        streams = [session.open_stream([model], niceness=n) for n in (0, 7)]
        for each in streams:
            each.submit(each.programs[0])
            each.synchronize()
        print(*(os.getpriority(os.PRIO_PROCESS, each.pid) for each in streams))
        print(*(session.cores == os.sched_getaffinity(each.pid) for each in streams))
        print(session.cores == {max(os.sched_getaffinity(0))})
"""


def test_neither_a_nice_parent_nor_its_openmp_moves_the_executors() -> None:
    """torch pins whoever imports it if OpenMP is told to."""
    bound = {"OMP_PROC_BIND": "true", "GOMP_CPU_AFFINITY": f"{min(os.sched_getaffinity(0))}"}
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=environment() | bound,
        preexec_fn=lambda: os.nice(3),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(nice + 3), str(min(19, nice + 10)), *["True"] * 3]


@pytest.mark.parametrize("queued", [False, True])
def test_a_killed_executor_is_a_lost_device_for_whoever_waits(
    session: DeviceSession, queued: bool
) -> None:
    stream = session.open_stream([synthetic(2000, 1000)])
    if queued:
        HostScheduler().create_queue(stream, PreemptLevel.block)
    stream.submit(stream.programs[0])
    os.kill(stream.pid, signal.SIGKILL)
    with pytest.raises(DeviceLost):
        stream.synchronize()
    wait([stream.pidfd])  # its pipes close before it has ended
    assert session.fate(stream.pid) == "killed by SIGKILL"


def test_one_that_does_not_stop_is_lost_and_its_state_is_told(session: DeviceSession) -> None:
    stream = session.open_stream([synthetic(2000, 1000)])
    stream.submit(stream.programs[0])
    with pytest.raises(DeviceLost, match=r"within 0.2 s: in state R, with 0\.\d{3} s of CPU time"):
        stream.wait_stopped(timeout_s=0.2)  # nobody has interrupted it


def test_the_end_of_a_session_kills_its_executors_stopped_ones_too(device: Device) -> None:
    session = device.connect()
    running, stopped = (session.open_stream([synthetic(5000, 1000)]) for _ in range(2))
    for stream in (running, stopped):
        stream.submit(stream.programs[0])
    stopped.interrupt()
    stopped.wait_stopped()
    session.close()
    assert gone(running.pid)
    assert gone(stopped.pid)


def test_the_end_of_a_session_closes_its_streams(device: Device) -> None:
    before = psutil.Process().num_fds()
    with device.connect() as session:
        session.keep_pace(min(session.cores))
        session.open_stream([synthetic(3, 10)], waiters=3)
        assert psutil.Process().num_fds() > before + 8
    memories = 2  # one each, which may still be looked at
    assert psutil.Process().num_fds() <= before + memories


def test_the_end_of_the_device_kills_its_executors() -> None:
    with Device("runner.platforms.host.programs:load") as device, device.connect() as session:
        stream = session.open_stream([synthetic(5000, 1000)])
        stream.submit(stream.programs[0])
        stream.interrupt()
        device.process.kill()
        device.process.wait()
        assert gone(stream.pid)
        with pytest.raises(DeviceLost):
            session.load(synthetic(1, 0))


def test_a_loader_that_raises_says_why_and_the_device_goes_on(session: DeviceSession) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'no_such_model'"):
        session.load({"name": "no_such_model"})
    assert session.load(synthetic(2, 0)).commands == 2


def test_a_session_that_dies_with_an_answer_unread_ends_alone() -> None:
    """As that of a trial does which is killed while it loads a model."""
    with Device("runner.platforms.host.programs:load") as device:
        session = device.connect()
        question = json.dumps({"do": "load", "spec": synthetic(1, 0)})
        with socket.socket(fileno=os.dup(session.fileno())) as asking:
            asking.send(question.encode())
            wait([asking], 30)
        session.close()
        with device.connect() as another:
            assert another.load(synthetic(2, 0)).commands == 2
