"""Proof of the policy on host: what a second, pure instance of the policy foresees, and whether the
scheduler's log and the executors' completions agree. Pure, as `runner.proof.checks` is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.proof.checks import Check, HeldBack
from xsched_bindings.host.scheduler import Event
from xsched_bindings.policies import POLICIES, Policy

#: How far ahead turns are foreseen. In its first half they settle down.
TURNS_NS = 1_000_000_000
#: Of a phase that is judged: the scheduler must have had time to follow.
SHORTEST_NS = 2_000_000
#: So long the queues are kept at work after the last change that is foreseen. Of turns only later
#: ones count: before, a queue may have waited for nothing but a late decision.
SETTLE_NS = 20_000_000
#: Most phases that the evidence lists.
EVIDENCE = 20


@dataclass(frozen=True)
class Phase:
    """From that time to the next phase these queues are held back, and no others."""

    from_ns: int
    held: frozenset[int]


def foresee(policy: Policy, ready_ns: Mapping[int, int], horizon_ns: int | None) -> list[Phase]:
    """What the policy does once all queues have work, if none runs out of it: until nothing changes
    any more, or for `horizon_ns`. ready_ns: when each became ready. Times count from the last."""
    now_ns = begin_ns = max(ready_ns.values())
    phases: list[Phase] = []
    while horizon_ns is None or now_ns - begin_ns < horizon_ns:
        decision = policy.decide(ready_ns, now_ns)
        held = frozenset(ready_ns) - decision.run
        if not phases or phases[-1].held != held:
            phases.append(Phase(now_ns - begin_ns, held))
        if decision.wake_at_ns is None:
            break
        now_ns = max(decision.wake_at_ns, now_ns + 1)
    return phases


def suspended(events: Iterable[Event], begin_ns: int) -> list[Phase]:
    """The phases that the scheduler's log shows, in times that count from `begin_ns`."""
    held: frozenset[int] = frozenset()
    phases = []
    for event in events:
        if event.name == "suspend":
            held |= {event.queue}
        elif event.name in ("resume", "destroy"):
            held -= {event.queue}
        phases.append(Phase(event.at_ns - begin_ns, held))
    return phases


def held_after(phases: Sequence[Phase], from_ns: int) -> frozenset[int]:
    """The queues that are held back at some time after that."""
    ends = [phase.from_ns for phase in phases[1:]]
    late = [p.held for p, end_ns in zip(phases, ends, strict=False) if end_ns > from_ns]
    return frozenset().union(*late, *(phase.held for phase in phases[-1:]))


def waiting_by_turns(foreseen: Sequence[Phase]) -> int:
    """How many queues must wait for a turn: those that do once the turns have settled down."""
    return len(held_after(foreseen, TURNS_NS // 2))


@dataclass(frozen=True)
class Rehearsal:
    """Every queue was kept at work, from time 0 to `until_ns`, under the live policy.

    tasks: names by queue. starved: whether a queue ran out of work nevertheless.
    """

    tasks: Mapping[int, str]
    foreseen: Sequence[Phase]
    seen: Sequence[Phase]
    until_ns: int
    starved: bool

    def names(self, queues: Iterable[int]) -> list[str]:
        return sorted(self.tasks[queue] for queue in queues)

    def seen_after(self, from_ns: int) -> frozenset[int]:
        """Queues that were held back at some time after that, all having work."""
        during = [phase for phase in self.seen if phase.from_ns < self.until_ns]
        return held_after(during, from_ns) & frozenset(self.tasks)

    def seen_at(self, at_ns: int) -> frozenset[int]:
        before = [phase.held for phase in self.seen if phase.from_ns <= at_ns]
        return before[-1] & frozenset(self.tasks) if before else frozenset()


def check_policy(policy: str, rehearsal: Rehearsal, intervals: Sequence[HeldBack]) -> Check:
    """Queues were held back as the pure policy says, within their bounds, and resumed."""
    faults = [
        f"{i.task}: completed {i.completed} commands while suspended, at most {i.limit} may"
        for i in intervals
        if i.completed > i.limit
    ]
    by_turns = POLICIES[policy].by_turns
    held = rehearsal.seen_after(SETTLE_NS if by_turns else SHORTEST_NS)
    if rehearsal.starved:
        faults.append("a queue ran out of work before the policy could be judged")
    elif by_turns:
        faults += _missing_turns(rehearsal, held)
    else:
        faults += _missing_phases(rehearsal, held)
    good = f"{', '.join(rehearsal.names(held))} suspended within bounds and resumed"
    if not any(phase.held for phase in rehearsal.foreseen):
        good = "all hints are equal and nothing was suspended"
        unneeded = {interval.task for interval in intervals if interval.preempted}
        faults += [f"{task} was suspended without need" for task in sorted(unneeded)]
    return Check(
        "policy",
        not faults,
        "; ".join([*dict.fromkeys(faults)][:3]) or good,
        "The policy does not act on these queues: set the scheduler before the queues and the "
        "hints after them",
        _evidence(rehearsal, held, intervals),
    )


def _missing_turns(rehearsal: Rehearsal, held: frozenset[int]) -> list[str]:
    if len(held) >= waiting_by_turns(rehearsal.foreseen):
        return []
    return [f"{task} was never suspended" for task in rehearsal.names(set(rehearsal.tasks) - held)]


def _missing_phases(rehearsal: Rehearsal, held: frozenset[int]) -> list[str]:
    """Phases are judged in their middle, so that the scheduler has had time to follow."""
    ends = [phase.from_ns for phase in rehearsal.foreseen[1:]] + [rehearsal.until_ns]
    judged = [
        (phase, (phase.from_ns + end_ns) // 2)
        for phase, end_ns in zip(rehearsal.foreseen, ends, strict=True)
        if end_ns - phase.from_ns >= SHORTEST_NS
    ]
    faults = [fault for phase, at_ns in judged for fault in _differs(rehearsal, phase, at_ns, held)]
    if any(phase.held for phase in rehearsal.foreseen) and not any(p.held for p, _ in judged):
        faults.append(f"it suspends nothing for {SHORTEST_NS / 1e6:g} ms, too short to be seen")
    return faults


def _differs(rehearsal: Rehearsal, phase: Phase, at_ns: int, ever: frozenset[int]) -> list[str]:
    seen = rehearsal.seen_at(at_ns)
    missing, unneeded = phase.held - seen, seen - phase.held
    when = f"{at_ns / 1e6:.1f} ms after all had work"
    return [
        *(f"{task} was never suspended" for task in rehearsal.names(missing - ever)),
        *(f"{task} was not suspended {when}" for task in rehearsal.names(missing & ever)),
        *(f"{task} was suspended without need {when}" for task in rehearsal.names(unneeded)),
    ]


def _evidence(
    rehearsal: Rehearsal, held: frozenset[int], intervals: Sequence[HeldBack]
) -> dict[str, Any]:
    return {
        "foreseen": [
            {"from_ms": phase.from_ns / 1e6, "held": rehearsal.names(phase.held)}
            for phase in rehearsal.foreseen[:EVIDENCE]
        ],
        "held": rehearsal.names(held),
        "until_ms": rehearsal.until_ns / 1e6,
        "suspensions": len(intervals),
        "most_completed": max((interval.completed for interval in intervals), default=0),
    }
