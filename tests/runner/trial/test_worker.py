import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from runner.config.arrivals.trace import replay
from runner.trial.recording import COMPLETED, SCHEDULED, STARTED, Recording
from runner.trial.worker import StopSignal, run_task

MS = 1_000_000


def run(
    request: Callable[[], object],
    arrivals: Iterator[int] | None,
    requests: int,
    keep: int = 0,
    lead_in_ns: int = 0,
    in_flight: int = 1,
) -> tuple[Recording, int]:
    """Run until `requests` are done and, if `keep`, that many more. request: is what takes time."""
    recording, stop = Recording.create(1), StopSignal()
    start_ns = time.monotonic_ns() + 10 * MS
    count = 0

    def counted() -> None:
        nonlocal count
        request()
        count += 1
        if count == requests + keep and not lead_in_ns:
            stop.set()

    writer = recording.writer(0)
    done = (lambda: keep > 0), lead_in_ns, in_flight
    run_task(lambda: counted, arrivals, requests, start_ns, writer, stop, *done)
    return recording, start_ns


def at_once() -> Callable[[], object]:
    """A request that has ended before anybody waits for it."""
    return lambda: None


def test_a_closed_loop_arrives_when_the_last_request_is_done() -> None:
    recording, start_ns = run(lambda: time.sleep(0.002), None, 5)
    rows = recording.rows(0)
    assert len(rows) == 5
    assert rows[0, SCHEDULED] == start_ns
    assert (rows[1:, SCHEDULED] == rows[:-1, COMPLETED]).all()
    assert (rows[:, COMPLETED] - rows[:, STARTED] >= 2 * MS).all()


def test_a_closed_loop_keeps_so_many_in_flight() -> None:
    """One starts when those before it have ended, and its place is taken when it ends itself."""
    recording, start_ns = run(lambda: time.sleep(0.002), None, 6, in_flight=3)
    rows = recording.rows(0)
    assert len(rows) >= 6  # those on their way at the end, too
    assert rows[:3, SCHEDULED].tolist() == [start_ns] * 3
    assert (rows[3:, SCHEDULED] == rows[:-3, COMPLETED]).all()
    assert (rows[1:, STARTED] == rows[:-1, COMPLETED]).all()


def test_what_is_in_flight_finds_room() -> None:
    recording = Recording.create(1, capacity=3)
    writer = recording.writer(0)
    asked = (at_once, None, 10, time.monotonic_ns(), writer, StopSignal(), lambda: True)
    with pytest.raises(RuntimeError, match="no room"):
        run_task(*asked, in_flight=8)
    assert recording.progress(0) == (3, 0)


def test_an_open_loop_keeps_its_schedule_and_counts_waiting() -> None:
    """Requests of 4 ms that arrive every millisecond: latency is from the arrival, so it grows."""
    recording, start_ns = run(lambda: time.sleep(0.004), iter(range(0, 50 * MS, MS)), 10)
    rows = recording.rows(0)
    assert (rows[:, SCHEDULED] - start_ns).tolist() == [n * MS for n in range(10)]
    assert (rows[1:, STARTED] >= rows[:-1, COMPLETED]).all()
    latency = rows[:, COMPLETED] - rows[:, SCHEDULED]
    assert latency[-1] >= latency[0] + 20 * MS


def test_an_open_loop_sleeps_until_the_arrival() -> None:
    recording, _ = run(lambda: None, iter(range(0, 10**10, 20 * MS)), 6)
    rows = recording.rows(0)
    late = rows[:, STARTED] - rows[:, SCHEDULED]
    assert (late >= 0).all()
    assert sorted(late)[2] < MS


def test_a_task_that_is_done_keeps_its_load_up_if_asked() -> None:
    recording, _ = run(lambda: None, None, 3, keep=4)
    assert recording.all_done([0])
    assert recording.progress(0) == (7, 0)


@pytest.mark.parametrize("slow", [0.0, 0.045])
def test_requests_that_arrive_in_the_lead_in_do_not_count(slow: float) -> None:
    """Also those that wait until it is over, as the first makes the others."""
    times = iter([0.0, slow])

    def request() -> None:
        time.sleep(next(times, 0.0))

    arrivals = iter(range(0, 10**10, 10 * MS))
    recording, start_ns = run(request, arrivals, 5, lead_in_ns=30 * MS)
    assert recording.all_done([0])
    assert recording.progress(0) == (5, 3)
    rows = recording.rows(0) - start_ns
    assert rows[:, SCHEDULED].tolist() == [at * 10 * MS for at in range(8)]
    assert recording.start_ns(0) == start_ns + 30 * MS


def test_a_closed_loop_counts_from_its_first_request_after_the_lead_in() -> None:
    recording, _ = run(lambda: time.sleep(0.008), None, 3, lead_in_ns=20 * MS)
    counted, before = recording.progress(0)
    rows = recording.rows(0) - recording.start_ns(0)
    assert (counted, before >= 1) == (3, True)
    assert rows[0, SCHEDULED] == -20 * MS
    assert rows[before - 1, SCHEDULED] < 0 <= rows[before, SCHEDULED]
    assert rows[before, SCHEDULED] == rows[before - 1, COMPLETED]


def test_a_stop_wakes_a_sleeping_task_at_once() -> None:
    recording, stop = Recording.create(1), StopSignal()
    start_ns = time.monotonic_ns()
    arrivals = iter([60_000 * MS])
    arguments = (at_once, arrivals, 1, start_ns, recording.writer(0), stop, lambda: False)
    thread = threading.Thread(target=run_task, args=arguments)
    thread.start()
    time.sleep(0.02)
    stop.set()
    thread.join(0.5)
    assert not thread.is_alive()
    assert recording.progress(0) == (0, 0)


def test_a_task_whose_trace_has_ended_sleeps_until_the_stop() -> None:
    recording, stop = Recording.create(1), StopSignal()
    arrivals = replay(np.array([0, MS], np.int64).tobytes())
    start_ns = time.monotonic_ns()
    arguments = (at_once, arrivals, 2, start_ns, recording.writer(0), stop, lambda: True)
    thread = threading.Thread(target=run_task, args=arguments)
    thread.start()
    time.sleep(0.1)
    assert recording.all_done([0])
    assert thread.is_alive()
    stop.set()
    thread.join(0.5)
    assert not thread.is_alive()
    assert recording.progress(0) == (2, 0)


def test_a_full_recording_ends_the_trial() -> None:
    """Not only the task: the others would have the device for themselves."""
    recording, stop = Recording.create(1, capacity=3), StopSignal()
    writer = recording.writer(0)
    with pytest.raises(RuntimeError, match="no room for more than 3 requests of one task"):
        run_task(at_once, None, 10, time.monotonic_ns(), writer, stop, lambda: True)
    assert recording.progress(0) == (3, 0)
    assert not recording.all_done([0])
