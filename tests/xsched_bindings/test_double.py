"""What the double of XSched's library promises to other tests: marks, policies, adversaries."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.xsched_bindings.double import DoubleRing, DoubleStream, build, misbehave
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.interface import Queue
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

COMMAND_US = 500
#: Commands of a request.
REQUEST = 20
#: What a suspension lets through at threshold 4, and as much again while a busy machine decides.
HELD = 8
BLOCK, DEACTIVATE, INTERRUPT = PreemptLevel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a library that nobody else has, for adversaries stay."""
    return build(tmp_path)


# --- marks ---------------------------------------------------------------------------------------


def test_marks_tell_when_commands_completed_and_what_came_out(folder: Path) -> None:
    ring = DoubleRing(folder)
    with DoubleStream(folder) as stream:
        began_ns = time.monotonic_ns()
        for result in (1.0, 2.0):
            stream.submit(REQUEST, COMMAND_US, ring, every=4, last=result)
            stream.submit(1, COMMAND_US)
        stream.synchronize()
    ticks, values = ring.since(0)
    assert ring.count == len(ticks) == 10
    assert (np.diff(ticks) >= 4 * COMMAND_US * 1000).all()
    assert began_ns < ticks[0]
    assert ticks[-1] < time.monotonic_ns()
    assert values[[4, 9]].tolist() == [1.0, 2.0]
    assert np.isnan(np.delete(values, [4, 9])).all()
    assert ring.since(8)[0].tolist() == ticks[8:].tolist()


def test_streams_share_no_ring_and_a_ring_keeps_the_last(folder: Path) -> None:
    mine, other = DoubleRing(folder), DoubleRing(folder)
    with DoubleStream(folder) as stream:
        stream.submit(3, 0, other)
        stream.submit(DoubleRing.SIZE + 1, 0, mine)
        stream.synchronize()
    assert other.count == 3
    assert mine.count == DoubleRing.SIZE + 1
    assert len(mine.since(0)[0]) == DoubleRing.SIZE


# --- policies and adversaries ---------------------------------------------------------------------


class Device:
    """Tasks of the double, a stream and a queue each, and what they got done."""

    def __init__(self, folder: Path, policy: str, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.xsched = CudaXSched(folder)
        self.xsched.set_scheduler(SchedulerType.local, PolicyType[policy])
        self.queues: list[Queue] = []
        self._streams: list[DoubleStream] = []
        self._rings: list[DoubleRing] = []

    def add(self, hint: Callable[[Queue], None], level: PreemptLevel = BLOCK) -> None:
        self._streams.append(self._stack.enter_context(DoubleStream(self._folder)))
        pointer = self._streams[-1].pointer
        self.queues.append(self._stack.enter_context(self.xsched.create_queue(pointer, level)))
        self.queues[-1].set_launch_config(4, 2)
        self._rings.append(DoubleRing(self._folder))
        hint(self.queues[-1])

    def submit(self, task: int, commands: int = REQUEST) -> None:
        self._streams[task].submit(commands, COMMAND_US, self._rings[task])

    def synchronize(self, task: int) -> None:
        self._streams[task].synchronize()

    def completed_at(self) -> list[list[int]]:
        """By task, when its commands completed; once all have."""
        for task in range(len(self._streams)):
            self.synchronize(task)
        return [ring.since(0)[0].tolist() for ring in self._rings]


@pytest.fixture
def device(folder: Path) -> Iterator[Callable[[str], Device]]:
    with ExitStack() as stack:
        yield lambda policy: Device(folder, policy, stack)


def within(times: Sequence[int], begin_ns: int, end_ns: int) -> int:
    return sum(begin_ns <= at <= end_ns for at in times)


def urgent_and_low(device: Callable[[str], Device], level: PreemptLevel = BLOCK) -> Device:
    made = device("hpf")
    made.add(lambda queue: queue.hint_priority(2))
    made.add(lambda queue: queue.hint_priority(1), level)
    return made


def preempted(device: Device, requests: int = 1) -> list[int]:
    """Commands of the low task during each of the urgent one's requests, once it was heard."""
    device.submit(1, (2 * requests + 3) * REQUEST)
    spans = []
    for _ in range(requests):
        time.sleep(0.005)
        device.submit(0)
        began_ns = time.monotonic_ns()
        device.synchronize(0)
        spans.append((began_ns, time.monotonic_ns()))
    _, low = device.completed_at()
    return [within(low, *span) for span in spans]


def test_hpf_lets_the_urgent_run_alone(device: Callable[[str], Device]) -> None:
    assert max(preempted(urgent_and_low(device), 3)) <= HELD


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("honest", [True, True]),
        ("counts-only", [False, False]),
        ("all-but-last", [False, False]),
        ("first-queue", [False, False]),
        ("every-second", [True, False]),
        ("late", [False, False]),
    ],
)
def test_an_adversary_of_the_scheduler(
    folder: Path, device: Callable[[str], Device], name: str, holds: list[bool]
) -> None:
    made = urgent_and_low(device)
    misbehave(folder, name)
    found = preempted(made, 2)
    assert [commands <= HELD for commands in found] == holds, found


@pytest.mark.parametrize("name", ["lost-hint", "inverted-hints"])
def test_an_adversary_of_hints(folder: Path, device: Callable[[str], Device], name: str) -> None:
    made = urgent_and_low(device)
    misbehave(folder, name)
    assert preempted(made)[0] > 3 * REQUEST, "the urgent one waits until the other is done"


def after_suspension(folder: Path, level: PreemptLevel, threshold: int, name: str) -> int:
    """Commands that complete after a suspension in mid-work."""
    with (
        DoubleStream(folder) as stream,
        CudaXSched(folder).create_queue(stream.pointer, level) as queue,
    ):
        queue.set_launch_config(threshold, threshold // 2)
        misbehave(folder, name)
        stream.submit(2 * threshold + 40, COMMAND_US)
        time.sleep(0.01)
        queue.suspend()
        before = stream.completed()
        time.sleep((threshold + 10) * COMMAND_US * 2e-6)
        passed = stream.completed() - before
        queue.resume()
        stream.synchronize()
        misbehave(folder, "honest")
        return passed


def test_adversaries_of_threshold_and_level(folder: Path) -> None:
    assert 16 < after_suspension(folder, BLOCK, 64, "honest") <= 64
    assert 4 <= after_suspension(folder, BLOCK, 64, "tighter") <= 16
    assert after_suspension(folder, BLOCK, 16, "higher-level") <= 1
    assert after_suspension(folder, DEACTIVATE, 16, "honest") <= 1
    assert after_suspension(folder, DEACTIVATE, 16, "lower-level") > 4


def test_one_command_in_twenty_goes_past_the_queue(folder: Path) -> None:
    misbehave(folder, "past-queue")
    with (
        DoubleStream(folder) as stream,
        CudaXSched(folder).create_queue(stream.pointer, BLOCK) as queue,
    ):
        queue.suspend()
        stream.submit(2 * REQUEST, COMMAND_US)
        time.sleep(0.02)
        assert stream.completed() == 2, "suspended or not"
        assert queue.count() == 2 * REQUEST - 2
        queue.resume()
        stream.synchronize()
        assert stream.completed() == 2 * REQUEST


def test_there_is_no_other_adversary(folder: Path) -> None:
    with pytest.raises(ValueError, match="misspelt"):
        misbehave(folder, "misspelt")


def test_kedf_runs_the_k_earliest_deadlines(device: Callable[[str], Device]) -> None:
    made = device("kedf")
    for deadline_us in (50_000, 500_000, 5_000):
        made.add(lambda queue, us=deadline_us: queue.hint_deadline(us))  # type: ignore[misc]
    for task in range(3):
        made.submit(task)
    first, second, third = made.completed_at()
    assert third[-1] < first[5] < first[-1] < second[5]
    made.xsched.set_k_deadline(2)
    for task in range(3):
        made.submit(task)
    first, second, third = (each[REQUEST:] for each in made.completed_at())
    assert within(first, third[0], third[-1]) > REQUEST // 4
    assert third[-1] < second[5]


def test_lax_is_urgent_once_the_laxity_is_used_up(device: Callable[[str], Device]) -> None:
    made = device("lax")
    made.add(lambda queue: queue.hint_laxity(20_000, -1, 5))
    made.add(lambda queue: queue.hint_laxity(0, 0, 0))
    submitted_ns = time.monotonic_ns()
    made.submit(0)
    made.submit(1, 4 * REQUEST)
    patient, other = made.completed_at()
    assert patient[5] - submitted_ns > 20_000_000, "those before were in flight"
    assert patient[-1] < other[-1], "it did not wait for the end of the other"
    assert within(other, patient[5], patient[-1]) <= HELD + 1


def test_up_divides_the_time_by_turns(device: Callable[[str], Device]) -> None:
    made = device("up")
    made.xsched.set_timeslice(20_000)
    made.add(lambda queue: queue.hint_utilization(75))
    made.add(lambda queue: queue.hint_utilization(25))
    for task in range(2):
        made.submit(task, 12 * REQUEST)
    often, seldom = made.completed_at()
    both_end_ns = min(often[-1], seldom[-1])
    assert often[-1] == both_end_ns
    done = sum(at < both_end_ns for at in seldom)
    assert 0.2 < done / len(often) < 0.65, "a third, and what suspensions let through"
