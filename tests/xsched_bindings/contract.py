"""The control plane's contract, written once: every platform's bindings pass it.

A platform's test subclasses `ControlPlaneContract` and gives the two fixtures; everything that
submits goes through `Busy`, because submitting belongs to a platform's streams.
"""

from collections.abc import Callable
from typing import Protocol

import pytest

from xsched_bindings.errors import XSchedError
from xsched_bindings.interface import ControlPlane, Queue
from xsched_bindings.types import PolicyType, PreemptLevel, QueueState, Result, SchedulerType


class Busy(Protocol):
    """A queue on a stream of its own, and the means to keep that stream busy."""

    @property
    def queue(self) -> Queue: ...

    def submit(self) -> int:
        """Submit some tens of commands of about a millisecond; how many."""

    def completed(self) -> int:
        """Commands completed, by a witness other than the queue."""

    def synchronize(self) -> None:
        """Wait as the stream's user does."""


MakeBusy = Callable[[PreemptLevel], Busy]


class ControlPlaneContract:
    @pytest.fixture
    def plane(self) -> ControlPlane:
        raise NotImplementedError("the platform's control plane")

    @pytest.fixture
    def make(self) -> MakeBusy:
        raise NotImplementedError("makes a queue on a busy stream")

    @pytest.fixture
    def busy(self, plane: ControlPlane, make: MakeBusy) -> Busy:
        plane.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        return make(PreemptLevel.block)

    def test_a_new_queue_is_idle_and_has_seen_nothing(self, busy: Busy) -> None:
        assert busy.queue.query() is QueueState.idle
        assert busy.queue.count() == 0

    def test_a_queue_counts_what_is_submitted_and_is_ready_meanwhile(self, busy: Busy) -> None:
        submitted = busy.submit()
        assert busy.queue.query() is QueueState.ready
        assert busy.queue.count() == submitted
        busy.queue.wait_all()
        assert busy.completed() == submitted

    def test_the_count_rises_while_suspended_though_nothing_executes(self, busy: Busy) -> None:
        busy.queue.suspend()
        submitted = busy.submit()
        assert busy.queue.count() == submitted
        assert busy.completed() == 0
        busy.queue.resume()
        busy.synchronize()
        assert busy.completed() == submitted

    def test_suspend_and_resume_are_reentrant(self, busy: Busy) -> None:
        busy.queue.suspend()
        busy.queue.suspend()
        submitted = busy.submit()
        busy.queue.resume()
        busy.queue.resume()
        busy.synchronize()
        assert busy.completed() == submitted

    def test_a_launch_config_keeps_what_is_not_positive(self, busy: Busy) -> None:
        busy.queue.set_launch_config(4, 2)
        busy.queue.set_launch_config(0, 0)
        busy.queue.set_launch_config(-1, 4)  # threshold stays 4, or this would be refused
        submitted = busy.submit()
        busy.synchronize()
        assert busy.completed() == submitted

    @pytest.mark.parametrize(("threshold", "batch_size"), [(4, 8), (4, -1)])
    def test_a_batch_above_the_threshold_raises(
        self, busy: Busy, threshold: int, batch_size: int
    ) -> None:
        busy.queue.set_launch_config(16, 8)
        with pytest.raises(XSchedError) as error:
            busy.queue.set_launch_config(threshold, batch_size)
        assert error.value.function == "XQueueSetLaunchConfig"
        assert error.value.result is Result.invalid_value

    def test_closing_resumes_and_waits(self, busy: Busy) -> None:
        submitted = busy.submit()
        busy.queue.suspend()
        busy.queue.close()
        assert busy.completed() == submitted
        busy.queue.close()

    def test_a_closed_queue_is_not_found(self, busy: Busy) -> None:
        busy.queue.close()
        with pytest.raises(XSchedError) as error:
            busy.queue.suspend()
        assert error.value.result is Result.not_found

    def test_the_context_manager_closes_when_the_body_raises(self, busy: Busy) -> None:
        with pytest.raises(ZeroDivisionError), busy.queue as queue:
            queue.suspend()
            busy.submit()
            1 / 0  # noqa: B018
        with pytest.raises(XSchedError):
            busy.queue.query()

    @pytest.mark.parametrize("level", list(PreemptLevel))
    def test_every_level_stops_within_its_bound_and_resumes(
        self, plane: ControlPlane, make: MakeBusy, level: PreemptLevel
    ) -> None:
        plane.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
        busy = make(level)
        busy.queue.set_launch_config(8, 4)
        submitted = busy.submit()
        busy.queue.suspend()
        self.settle()
        quiet = busy.completed()
        self.settle()
        assert busy.completed() == quiet < submitted
        busy.queue.resume()
        busy.synchronize()
        assert busy.completed() == submitted

    def settle(self) -> None:
        """Time for some ten commands."""
        import time

        time.sleep(0.05)

    def test_hints_are_taken_without_looking_at_their_value(
        self, plane: ControlPlane, busy: Busy
    ) -> None:
        busy.queue.hint_priority(-256)
        busy.queue.hint_utilization(101)
        busy.queue.hint_deadline(-1)
        busy.queue.hint_laxity(-1, 0, 1)
        plane.set_timeslice(1)
        plane.set_k_deadline(1)
        submitted = busy.submit()
        busy.synchronize()
        assert busy.completed() == submitted

    def test_a_hint_for_a_closed_queue_is_not_found(self, busy: Busy) -> None:
        busy.queue.close()
        with pytest.raises(XSchedError) as error:
            busy.queue.hint_priority(1)
        assert error.value.function == "XHintPriority"
        assert error.value.result is Result.not_found

    def test_an_unknown_policy_is_an_invalid_value(self, plane: ControlPlane) -> None:
        with pytest.raises(XSchedError) as error:
            plane.set_scheduler(SchedulerType.local, PolicyType.unknown)
        assert error.value.result is Result.invalid_value

    def test_a_declared_policy_without_implementation_raises(self, plane: ControlPlane) -> None:
        with pytest.raises(XSchedError):
            plane.set_scheduler(SchedulerType.local, PolicyType.spup)

    def test_under_hpf_the_lower_queue_stands_still_while_the_higher_works(
        self, plane: ControlPlane, make: MakeBusy
    ) -> None:
        plane.set_scheduler(SchedulerType.local, PolicyType.hpf)
        low, high = make(PreemptLevel.block), make(PreemptLevel.block)
        for busy, priority in ((low, 1), (high, 2)):
            busy.queue.set_launch_config(2, 1)
            busy.queue.hint_priority(priority)
        low.submit()
        submitted = high.submit()
        before = low.completed()
        high.synchronize()
        assert high.completed() == submitted
        # Two in flight, and what slips in before the scheduler has heard and after it is done;
        # unscheduled, it would have done as many as the other.
        assert low.completed() - before <= submitted // 3
        low.synchronize()
        assert low.completed() == submitted
