"""What a device core runs besides executors."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from tests.xsched_bindings.test_host import gone
from xsched_bindings.host import Device, DeviceSession
from xsched_bindings.host import pace as module
from xsched_bindings.host.pace import (
    HUGE_PAGE,
    PIECE,
    PIECES,
    Pace,
    PaceMemory,
    fixed_work,
    keep_pace,
)

SPIN = "while True: pass"


def comes(true: Callable[[], bool], within_s: float = 30.0) -> bool:
    give_up = time.monotonic() + within_s
    while not true() and time.monotonic() < give_up:
        time.sleep(0.005)
    return true()


@pytest.fixture
def pace(session: DeviceSession) -> Pace:
    return session.keep_pace(max(session.cores))


def cpu_ns(pid: int) -> int:
    return time.clock_gettime_ns((~pid << 3) | 2)


def test_a_core_is_kept_awake_by_a_process_that_gives_way(pace: Pace) -> None:
    awake, _ = pace.pids
    assert comes(lambda: os.sched_getscheduler(awake) == os.SCHED_IDLE)
    assert os.sched_getaffinity(awake) == {pace.core}
    before = cpu_ns(awake)
    assert comes(lambda: cpu_ns(awake) > before + 10_000_000), "it works and does not sleep"


def test_it_takes_little_of_the_core_from_those_of_another_group(pace: Pace) -> None:
    """Half of it, were it to spin all the time."""
    awake, _ = pace.pids
    with subprocess.Popen([sys.executable, "-c", SPIN], start_new_session=True) as other:
        os.sched_setaffinity(other.pid, {pace.core})

        def little() -> bool:
            taken, had = cpu_ns(awake), cpu_ns(other.pid)
            assert comes(lambda: cpu_ns(other.pid) > had + 1_000_000_000)
            return cpu_ns(awake) - taken < 300_000_000

        shown = comes(little)
        other.kill()
    assert shown


def test_the_pace_is_told_by_a_process_that_does_not_have_to_give_way(pace: Pace) -> None:
    assert comes(lambda: pace.pieces >= 3)
    assert os.sched_getscheduler(pace.pids[1]) == os.SCHED_OTHER
    assert os.sched_getaffinity(pace.pids[1]) == {pace.core}
    times_us = pace.cpu_us_since(1)
    assert len(times_us) >= 2
    assert (times_us > 0).all()
    assert times_us.sum() * 1e3 <= cpu_ns(pace.pids[1])


def test_both_end_with_the_session(device: Device) -> None:
    session = device.connect()
    found = session.keep_pace(max(session.cores))
    assert comes(lambda: found.pieces > 0)
    session.close()
    assert all(map(gone, found.pids))


def test_both_end_with_the_device() -> None:
    with Device("runner.platforms.host.programs:load") as device, device.connect() as session:
        found = session.keep_pace(max(session.cores))
        device.process.kill()
        device.process.wait()
        assert all(map(gone, found.pids))


# --- the fixed work ------------------------------------------------------------------------------


class Ended(Exception):
    pass


@pytest.fixture
def memory() -> Iterator[PaceMemory]:
    fd = os.memfd_create("test-pace")
    os.ftruncate(fd, PaceMemory.BYTES)
    yield PaceMemory(fd)
    os.close(fd)


def test_every_piece_is_in_huge_pages_of_its_own() -> None:
    """A piece of 4 KiB pages takes almost twice as long: whether a window had one more of it made
    the pace of the first trial of a repeat another than that of the second."""
    assert fixed_work().ctypes.data % HUGE_PAGE == 0
    assert PIECE * fixed_work().itemsize % HUGE_PAGE == 0


def test_all_of_the_memory_is_read_in_turn_and_the_lead_is_not_timed(
    memory: PaceMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that advances by as much as is read."""
    read: list[tuple[int, int]] = []

    class Counted(np.ndarray[tuple[int, ...], np.dtype[np.float32]]):
        def sum(self, *_: object, **__: object) -> float:  # type: ignore[override]
            begin = self.__array_interface__["data"][0] - work.__array_interface__["data"][0]
            read.append((begin // work.itemsize, self.size))
            return 0.0

    rounds = count()

    def sleep(seconds: float) -> None:
        if next(rounds) == 9:
            raise Ended

    now = SimpleNamespace(sleep=sleep, thread_time_ns=lambda: sum(size for _, size in read))
    monkeypatch.setattr(module, "time", now)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: None)
    work = fixed_work()
    with pytest.raises(Ended):
        keep_pace(0, work.view(Counted), memory)
    assert memory.pieces[0] == 9
    assert set(memory.cpu_ns[:9]) == {PIECE}
    timed = [begin for begin, size in read if size == PIECE]
    assert timed == [n % 8 * PIECE for n in range(9)]
    leads = [begin // PIECE for begin, size in read if size < PIECE]
    assert leads == [(n - 1) % 8 for n in range(9)], "the lead leaves alone what comes next"


def test_of_very_many_pieces_the_last_ones_are_kept(memory: PaceMemory) -> None:
    found = Pace(0, [], memory)
    for piece in range(5):
        memory.cpu_ns[(PIECES + piece) % PIECES] = 1000 * (piece + 1)
    memory.pieces[0] = PIECES + 5
    assert found.cpu_us_since(PIECES).tolist() == [1, 2, 3, 4, 5]
    assert len(found.cpu_us_since(0)) == PIECES
    assert len(found.cpu_us_since(PIECES + 5)) == 0
