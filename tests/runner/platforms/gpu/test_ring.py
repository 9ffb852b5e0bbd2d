"""A ring as the host reads it; the device's side is played by the test."""

import numpy as np
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from runner.platforms.gpu.ring import HostRing

ROWS = 4


def written(marks: int) -> NDArray[np.int64]:
    """The memory after so many marks; mark i has 100 + i ticks and the value i / 2."""
    memory = np.zeros((ROWS + 1, 2), np.int64)
    for i in range(marks):
        memory[1 + i % ROWS] = 100 + i, np.float64(i / 2).view(np.int64)
    memory[0, 0] = marks
    return memory


def test_all_marks_or_those_after_the_first_ones() -> None:
    ring = HostRing(written(3))
    assert ring.count == 3
    assert_array_equal(ring.since(0).ticks, [100, 101, 102])
    assert_array_equal(ring.since(1).values, [0.5, 1.0])
    assert len(ring.since(3).ticks) == len(ring.since(9).ticks) == 0


def test_a_ring_that_has_gone_round_has_the_last_marks_in_order() -> None:
    ring = HostRing(written(11))
    assert ring.count == 11
    # Not the fourth last: the device may be writing the next mark there.
    assert_array_equal(ring.since(0).ticks, [108, 109, 110])
    assert_array_equal(ring.since(0).values, [4.0, 4.5, 5.0])
    assert_array_equal(ring.since(10).ticks, [110])


def test_marks_that_are_read_do_not_change() -> None:
    memory = written(3)
    seen = HostRing(memory).since(0)
    memory[:] = 0
    assert_array_equal(seen.ticks, [100, 101, 102])


def test_rows_that_are_reused_while_they_are_read_are_left_out() -> None:
    class Live(HostRing):
        """Three more marks come while the rows are read."""

        looks = 0

        @property
        def count(self) -> int:
            self.looks += 1
            return 4 if self.looks == 1 else 6

    assert_array_equal(Live(written(4)).since(0).ticks, [103])
