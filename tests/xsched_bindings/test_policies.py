import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xsched_bindings.policy_traces import Change, replay
from xsched_bindings.errors import XSchedError
from xsched_bindings.policies import POLICIES, create_policy
from xsched_bindings.policies.hpf import HighestPriorityFirst
from xsched_bindings.policies.up import UtilizationPartition
from xsched_bindings.types import PolicyType, Result

queues = st.dictionaries(st.integers(1, 20), st.tuples(st.booleans(), st.integers(-300, 300)))


def test_hpf_runs_the_highest_ready_priority_and_its_equals() -> None:
    policy = HighestPriorityFirst()
    for queue, priority in ((1, 3), (2, 3), (3, 2)):
        policy.hint_priority(queue, priority)
    assert policy.decide({1: 0, 2: None, 3: 0}, 0).run == {1, 2}
    assert policy.decide({1: None, 2: None, 3: 0}, 0).run == {1, 2, 3}


def test_hpf_takes_0_for_a_queue_without_a_hint() -> None:
    policy = HighestPriorityFirst()
    policy.hint_priority(1, -1)
    assert policy.decide({1: 0, 2: 0}, 0).run == {2}


def test_hpf_clamps_so_no_execute_becomes_the_lowest_priority() -> None:
    policy = HighestPriorityFirst()
    policy.hint_priority(1, -256)
    policy.hint_priority(2, -255)
    assert policy.decide({1: 0, 2: 0}, 0).run == {1, 2}


@given(queues)
def test_hpf_never_idles_the_device_and_never_inverts(
    state: dict[int, tuple[bool, int]],
) -> None:
    policy = HighestPriorityFirst()
    clamped = {queue: min(max(p, -255), 255) for queue, (_, p) in state.items()}
    for queue, (_, priority) in state.items():
        policy.hint_priority(queue, priority)
    queues = {queue: 0 if is_ready else None for queue, (is_ready, _) in state.items()}
    at_work = {queue for queue in queues if queues[queue] is not None}
    run = policy.decide(queues, 0).run
    if at_work:
        assert run & at_work
        highest = max(clamped[queue] for queue in at_work)
        assert run == {queue for queue in queues if clamped[queue] >= highest}
    else:
        assert run == set(queues)


def test_up_runs_everything_until_a_queue_has_a_utilization_then_starves_the_others() -> None:
    policy = UtilizationPartition()
    assert policy.decide({1: 0, 2: 0}, 0).run == {1, 2}
    policy.hint_utilization(2, 50)
    assert policy.decide({1: 0, 2: 0}, 0).run == {2}


def test_up_ignores_hints_out_of_range() -> None:
    policy = UtilizationPartition()
    policy.hint_utilization(1, 101)
    policy.hint_utilization(1, -1)
    assert policy.decide({1: 0, 2: 0}, 0).run == {1, 2}
    policy.hint_utilization(1, 100)
    policy.set_timeslice(99)
    assert policy.decide({1: 0}, 0).wake_at_ns == 5_000_000


def test_up_gives_each_queue_its_part_of_the_timeslice_in_turn() -> None:
    policy = UtilizationPartition()
    policy.set_timeslice(1000)
    policy.hint_utilization(1, 75)
    policy.hint_utilization(2, 25)
    both = {1: 0, 2: 0}
    first = policy.decide(both, 0)
    assert (first.run, first.wake_at_ns) == ({1}, 750_000)
    assert policy.decide(both, 749_999).run == {1}
    second = policy.decide(both, 750_000)
    assert (second.run, second.wake_at_ns) == ({2}, 1_000_000)
    assert policy.decide(both, 1_000_000).run == {1}


def test_up_gives_no_queue_a_slice_without_length() -> None:
    """Its end would be now, and be asked about now."""
    policy = UtilizationPartition()
    policy.hint_utilization(1, 100)
    policy.hint_utilization(2, 0)
    assert policy.decide({1: None, 2: 0}, 5).wake_at_ns == 1_005


def test_up_passes_the_turn_on_when_the_running_queue_goes_idle() -> None:
    policy = UtilizationPartition()
    policy.hint_utilization(1, 50)
    policy.hint_utilization(2, 50)
    assert policy.decide({1: 0, 2: 0}, 0).run == {1}
    assert policy.decide({1: None, 2: 0}, 10).run == {2}
    assert policy.decide({1: None, 2: None}, 20).run == set()
    assert policy.decide({1: 0, 2: None}, 30).run == {1}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_up_shares_are_the_utilizations(shares: list[int]) -> None:
    """Always-ready queues over 50 rounds of the slice: time is shared as the hints say."""
    policy = UtilizationPartition()
    for queue, share in enumerate(shares):
        policy.hint_utilization(queue, share)
    ready = dict.fromkeys(range(len(shares)), 0)
    time_ns, used = 0, dict.fromkeys(ready, 0)
    for _ in range(50 * len(shares)):
        decision = policy.decide(ready, time_ns)
        (running,) = decision.run
        assert decision.wake_at_ns is not None
        used[running] += decision.wake_at_ns - time_ns
        time_ns = decision.wake_at_ns
    for queue, share in enumerate(shares):
        assert used[queue] / time_ns == pytest.approx(share / sum(shares), abs=1e-3)


def test_up_without_any_share_gives_default_slices() -> None:
    policy = UtilizationPartition()
    policy.hint_utilization(1, 0)
    policy.hint_utilization(2, 0)
    assert policy.decide({1: 0, 2: 0}, 0).wake_at_ns == 5_000_000


traces = st.lists(
    st.tuples(st.floats(0, 300), st.integers(1, 5), st.booleans()), min_size=1, max_size=40
)


@given(st.sampled_from(list(POLICIES)), traces, st.lists(st.integers(0, 40), min_size=5))
def test_no_policy_idles_the_device_or_spins(
    name: str, trace: list[Change], hints: list[int]
) -> None:
    """`replay` looks that something runs whenever there is work."""
    policy = create_policy(name)
    for queue, value in zip(range(1, 6), hints, strict=False):
        policy.hint_priority(queue, value - 20)
        policy.hint_utilization(queue, 1 + value)
        policy.hint_deadline(queue, value * 1000)
        policy.hint_laxity(queue, value * 1000, -value, value)
    done = replay(policy, trace, 400)
    assert done.looks < 30_000


def test_only_what_is_implemented_can_be_created() -> None:
    assert set(POLICIES) >= {"hpf", "up", "kedf", "lax", "cfs", "mlfq"}
    for policy in PolicyType:
        if policy.name in POLICIES:
            create_policy(policy.name)
        else:
            with pytest.raises(XSchedError) as error:
                create_policy(policy.name)
            unknown = policy is PolicyType.unknown
            assert error.value.result is (Result.invalid_value if unknown else Result.not_supported)
