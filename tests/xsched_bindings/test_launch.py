import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsched_bindings.host.launch import LaunchLog


def test_steady_state_at_8_4_keeps_between_4_and_8_in_flight() -> None:
    log = LaunchLog(8, 4)
    assert log.launch(100) == [4, 4, 0]
    for _ in range(10):
        assert log.in_flight == 8
        log.reap()
        assert log.in_flight == 4
        assert log.launch(100) == [4, 0]


def test_nothing_is_launched_into_a_full_log() -> None:
    log = LaunchLog(2, 2)
    log.launch(2)
    assert log.launch(5) == [0]


def test_a_smaller_batch_launches_nothing_twice() -> None:
    log = LaunchLog(64, 32)
    assert log.launch(20) == [20]
    log.mark_all()
    log.reap()
    log.threshold, log.batch_size = 16, 8
    assert log.launch(100) == [0, 8, 8, 0]
    assert (log.launched, log.in_flight) == (36, 16)


@pytest.mark.parametrize(("threshold", "batch"), [(4, 5), (1, 0), (0, 0)])
def test_a_batch_outside_1_to_threshold_is_refused(threshold: int, batch: int) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        LaunchLog(threshold, batch)


configs = st.integers(1, 64).flatmap(lambda t: st.tuples(st.just(t), st.integers(1, t)))


@given(configs, st.lists(st.integers(0, 200), max_size=30))
def test_invariants(config: tuple[int, int], requests: list[int]) -> None:
    """Never over the threshold; a synchronisation point every batch_size commands exactly; every
    command is launched once and in the end reaped; a full log always has a point to wait for."""
    threshold, batch = config
    log = LaunchLog(threshold, batch)
    points: list[int] = []
    for wanted in requests:
        left = wanted
        while left:
            at = log.launched
            runs = log.launch(left)
            left -= sum(runs)
            for run in runs[:-1]:
                at += run
                points.append(at)
            assert log.in_flight <= threshold
            if left:
                assert log.sync_points, "a full log without a synchronisation point would hang"
                before = log.in_flight
                log.reap()
                assert log.in_flight < before
    assert log.launched == sum(requests)
    assert points == list(range(batch, sum(requests) + 1, batch))
    log.mark_all()
    while log.sync_points:
        log.reap()
    assert log.in_flight == 0
