"""A scheduler without queues: replays hand-made traces of events against a policy."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from xsched_bindings.policies import Policy

MS = 1_000_000

#: (milliseconds, queue, whether it has work from then on)
Change = tuple[float, int, bool]


@dataclass
class Replay:
    """runs: (from milliseconds, the queues at work that run), whenever that changes.
    used_ns: time that each queue has run. looks: how often the policy was asked."""

    runs: list[tuple[float, set[int]]] = field(default_factory=list)
    used_ns: dict[int, int] = field(default_factory=dict)
    looks: int = 0

    def note(self, now_ns: int, running: set[int]) -> None:
        if not self.runs or self.runs[-1][1] != running:
            self.runs.append((now_ns / MS, running))


def replay(policy: Policy, changes: Iterable[Change], until_ms: float) -> Replay:
    """The policy is asked at every change and exactly when it wants to be. All queues that occur
    exist from the beginning, in the order of their numbers."""
    coming = sorted((round(at * MS), queue, work) for at, queue, work in changes)
    queues: dict[int, int | None] = dict.fromkeys(sorted({q for _, q, _ in coming}))
    end_ns = round(until_ms * MS)
    replay = Replay(used_ns=dict.fromkeys(queues, 0))
    now_ns = 0
    while now_ns < end_ns:
        while coming and coming[0][0] <= now_ns:
            _, queue, work = coming.pop(0)
            queues[queue] = now_ns if work else None
        decision = policy.decide(dict(queues), now_ns)
        assert decision.wake_at_ns is None or decision.wake_at_ns > now_ns
        running = {queue for queue in decision.run if queues[queue] is not None}
        at_work = {queue for queue in queues if queues[queue] is not None}
        assert running or not at_work, "the device idles although there is work"
        replay.looks += 1
        replay.note(now_ns, running)
        next_ns = min(
            (
                at
                for at in (decision.wake_at_ns, coming[0][0] if coming else None)
                if at is not None
            ),
            default=end_ns,
        )
        for queue in running:
            replay.used_ns[queue] += min(next_ns, end_ns) - now_ns
        now_ns = next_ns
    return replay


def runs(
    policy: Policy, changes: Iterable[Change], until_ms: float
) -> list[tuple[float, set[int]]]:
    return replay(policy, changes, until_ms).runs
