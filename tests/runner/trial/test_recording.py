import numpy as np

from runner.trial.recording import Recording


def test_what_one_task_writes_another_mapping_reads() -> None:
    recording = Recording.create(2, capacity=4)
    writer = recording.writer(1)
    writer.record(-3, -2, -1)
    writer.start(100)
    writer.record(1, 2, 3)
    other = Recording(recording.fd, 2, capacity=4)
    assert other.progress(1) == (1, 1)
    assert other.progress(0) == (0, 0)
    assert other.start_ns(1) == 100
    assert other.rows(1).tolist() == [[-3, -2, -1], [1, 2, 3]]
    assert other.rows(0).shape == (0, 3)
    assert other.rows(1).dtype == np.int64


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
        assert not writer.full
        writer.record(at, at, at)
    assert writer.full
