import numpy as np

from runner.trial.recording import Recording


def test_what_one_task_writes_another_mapping_reads() -> None:
    recording = Recording.create(2, capacity=4)
    writer = recording.writer(1)
    writer.record(97, 98, 99)
    assert Recording(recording.fd, 2, capacity=4).progress(1) == (0, 1), "all is warm-up so far"
    writer.start(100)
    writer.record(100, 102, 103)
    other = Recording(recording.fd, 2, capacity=4)
    assert other.progress(1) == (1, 1)
    assert other.progress(0) == (0, 0)
    assert other.start_ns(1) == 100
    assert other.rows(1).tolist() == [[97, 98, 99], [100, 102, 103]]
    assert other.rows(0).shape == (0, 3)
    assert other.rows(1).dtype == np.int64


def test_a_request_is_of_the_window_if_it_arrived_in_it() -> None:
    recording = Recording.create(1, capacity=4)
    writer = recording.writer(0)
    writer.start(100)
    for scheduled in (90, 99, 100, 101):
        writer.record(scheduled, 200, 300)
    assert recording.progress(0) == (2, 2)


def test_all_done_asks_the_given_tasks_only() -> None:
    recording = Recording.create(3, capacity=1)
    recording.writer(0).done()
    recording.writer(2).done()
    assert recording.all_done([0, 2])
    assert not recording.all_done([0, 1])


def test_a_full_recording_says_so() -> None:
    recording = Recording.create(1, capacity=2)
    writer = recording.writer(0)
    for at in range(2):
        assert writer.room == 2 - at
        writer.record(at, at, at)
    assert writer.room == 0
