"""What a policy would have decided: the pure policy, asked whenever a live one is."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsched_bindings.policies import Policy

#: Of one task's requests, when they were in service: int64 monotonic nanoseconds, in order, shape
#: (requests, 2).
Spans = NDArray[np.int64]
#: From a request of a closed loop to the next: a scheduler may not see that it runs dry.
GAP_NS = 2_000_000


class Decided(NamedTuple):
    """From `at_ns` to the next one these tasks have work, and those may run."""

    at_ns: int
    ready: frozenset[int]
    run: frozenset[int]


def merged(spans: Spans, gap_ns: int = GAP_NS) -> Spans:
    """Spans with hardly a gap between them joined: a scheduler may not see that a closed loop runs
    dry between two requests, and nobody can tell."""
    if not len(spans):
        return spans
    gaps = spans[1:, 0] - spans[:-1, 1] > gap_ns
    begins = np.concatenate([[True], gaps])
    ends = np.concatenate([gaps, [True]])
    return np.stack([spans[begins, 0], spans[ends, 1]], axis=1)


def replay(policy: Policy, spans: Sequence[Spans]) -> Iterator[Decided]:
    """Its decisions over tasks whose queues had work in these spans. policy: with hints, by the
    tasks' numbers, and as fresh as the live one was when it was made."""
    since: dict[int, int | None] = dict.fromkeys(range(len(spans)))
    wake_ns: int | None = None
    for at_ns, changes in _events(spans):
        while wake_ns is not None and wake_ns < at_ns:
            yield (decided := _decide(policy, since, wake_ns))[0]
            wake_ns = decided[1]
        since.update(changes)
        yield (decided := _decide(policy, since, at_ns))[0]
        wake_ns = decided[1]


def _decide(
    policy: Policy, since: dict[int, int | None], now_ns: int
) -> tuple[Decided, int | None]:
    decision = policy.decide(since, now_ns)
    ready = frozenset(task for task, from_ns in since.items() if from_ns is not None)
    again_ns = decision.wake_at_ns
    return Decided(now_ns, ready, decision.run), None if again_ns is None else max(
        again_ns, now_ns + 1
    )


def _events(spans: Sequence[Spans]) -> Iterator[tuple[int, dict[int, int | None]]]:
    """When tasks got work or ran out of it, in order; from then they have had it since that time,
    or have none."""
    times = np.concatenate([each.ravel() for each in spans])
    tasks = np.repeat(np.arange(len(spans)), [each.size for each in spans])
    begins = np.concatenate([np.arange(each.size) % 2 == 0 for each in spans])
    for at in np.lexsort((begins, times)):  # at one moment the end comes before the beginning
        at_ns = int(times[at])
        yield at_ns, {int(tasks[at]): at_ns if begins[at] else None}
