"""Policies whose queues take turns (up, cfs, mlfq): each task has what the policy gives it.

Whose turn it is at one moment depends on all that has run before, so that a decision which comes
late shifts all that follow. What lasts are the shares of the device, and how long turns are: those
of the policy replayed, against those that the device's marks tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runner.proof.checks import Check, undecided
from runner.proof.marks import Served
from runner.proof.replay import merged, replay
from xsched_bindings.policies import Policy

#: Of the device's time, that a task may have more or less than the policy gives it.
SHARE_ERROR = 0.10
#: Turns are told from the sharing of a device that nobody schedules if they last longer: an
#: operating system gives each process 3 to 4 ms, a GPU each stream a command.
TURN_NS, TURN_PARTS = 10_000_000, 4
#: Turns may last twice as long as the policy's, and by so much more, besides what a suspension lets
#: through: on host a task needs a core to go on, on which others may be at work.
LONGER, LONGER_NS = 2, 25_000_000


@dataclass(frozen=True)
class Turns:
    """Who had the device while several had work. share: of its time, by task. turn_ns: half of that
    time was in turns so long or longer, so that one standstill of the machine does not tell."""

    share: NDArray[np.float64]
    turn_ns: float


class Piece(NamedTuple):
    """A time that one task had the device. stretch: in which all the time several had work."""

    stretch: int
    task: int
    ns: float


def seen_since(served: Sequence[Served]) -> int:
    """From when on every task's marks are there: of what the ring no longer had nothing is told."""
    return max((int(each.marks.at_ns[0]) for each in served if _lost(each)), default=0)


def _lost(each: Served) -> bool:
    return bool(each.marks.dropped and len(each.marks.at_ns))


def given(policy: Policy, served: Sequence[Served]) -> Turns:
    """What the policy gave, in the time of which the marks tell."""
    from_ns = seen_since(served)
    time = np.zeros(len(served))
    pieces: list[Piece] = []
    stretch = 0
    for now, then in pairwise(replay(policy, [each.spans for each in served])):
        running = now.ready & now.run
        stretch += len(now.ready) < 2
        if len(now.ready) < 2 or len(running) != 1 or now.at_ns < from_ns:
            continue
        (number,) = running
        time[number] += then.at_ns - now.at_ns
        pieces.append(Piece(stretch, number, then.at_ns - now.at_ns))
    return Turns(_shares(time), _turn(pieces))


def taken(served: Sequence[Served]) -> Turns:
    """What the tasks took while several had work, as their marks tell: of the device's time, so
    much for each part as it takes alone; a turn lasts from the last mark of the one before to its
    own last one."""
    spans = [merged(each.spans) for each in served]
    events = sorted(
        (int(at), number, change)
        for number, each in enumerate(spans)
        for span in each
        for at, change in zip(span, (1, -1), strict=True)
    )
    times = [at for at, _, _ in events]
    several = np.cumsum([change for _, _, change in events]) > 1
    at_ns = np.concatenate([each.marks.at_ns for each in served])
    who = np.repeat(np.arange(len(served)), [len(each.marks.at_ns) for each in served])
    order = np.argsort(at_ns, kind="stable")
    since = np.searchsorted(times, at_ns[order], side="left") - 1
    from_ns = seen_since(served)
    within = (since >= 0) & several[since] & (at_ns[order] > from_ns)
    at_ns, who, since = at_ns[order][within], who[order][within], since[within]
    stretches = np.cumsum(~several)[since]
    begins = np.maximum(np.array(times)[since], from_ns)
    lasted = at_ns - np.maximum(np.concatenate([at_ns[:1] * 0, at_ns[:-1]]), begins)
    time = np.bincount(who, minlength=len(served)) * [each.part_ns for each in served]
    pieces = zip(stretches.tolist(), who.tolist(), lasted.tolist(), strict=True)
    return Turns(_shares(time), _turn([Piece(*each) for each in pieces]))


def _shares(time: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(time / max(time.sum(), 1e-9))


def _turn(pieces: Sequence[Piece]) -> float:
    """Pieces of one task that follow each other are one turn."""
    turns = sorted(
        sum(piece.ns for piece in turn) for _, turn in groupby(pieces, key=lambda piece: piece[:2])
    )
    passed = np.cumsum(turns)
    return turns[int(np.searchsorted(passed, passed[-1] / 2))] if turns else 0.0


def _differ(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).max())


def _longest(should: Sequence[Turns], served: Sequence[Served]) -> float:
    let_through_ns = max((each.lets_through + 1) * each.part_ns for each in served) * len(served)
    return LONGER * max(each.turn_ns for each in should) + LONGER_NS + let_through_ns


def check_turns(should: Sequence[Turns], took: Turns, served: Sequence[Served]) -> Check:
    """Under a policy whose queues take turns: each task had what the policy gave it, no less and no
    more, in turns that are no longer; where nobody's scheduling may give the same, no shorter ones.

    should: as the policy gives if it sees short gaps, and if it does not; nobody knows which, so
    either will do."""
    names = [each.task.name for each in served]
    commands_ns = np.array([each.part_ns / max(each.marks.per_part, 1.0) for each in served])
    near = [each for each in should if _differ(took.share, each.share) <= SHARE_ERROR]
    even = np.full(len(served), 1 / len(served))
    turn_ns = min(each.turn_ns for each in near or should)
    by_turns = turn_ns > max(TURN_NS, TURN_PARTS * max(each.part_ns for each in served))
    evidence = {
        "share": dict(zip(names, took.share.tolist(), strict=True)),
        "should": [dict(zip(names, each.share.tolist(), strict=True)) for each in should],
        "turn_ms": took.turn_ns / 1e6,
        "should_turn_ms": [each.turn_ns / 1e6 for each in should],
    }
    # A GPU gives each stream a command, whatever its length.
    unscheduled = [even, commands_ns / commands_ns.sum()]
    # Where the policy's and nobody's are so near that one trial could come out as either.
    apart = (_differ(each.share, nobodys) for each, nobodys in product(near, unscheduled))
    alike = min(apart, default=1.0) <= 2 * SHARE_ERROR
    if not took.share.any() or (near and alike and not by_turns):
        return undecided(
            "such shares in short turns are what a device may give that nobody schedules", evidence
        )
    faults = []
    if not near:
        given = min(should, key=lambda each: _differ(took.share, each.share)).share
        faults = [
            f"{name} had {share:.2f} of the device, and the policy gives {right:.2f}"
            for name, share, right in zip(names, took.share, given, strict=True)
            if abs(share - right) > SHARE_ERROR
        ]
    elif (alike and took.turn_ns < turn_ns / 2) or took.turn_ns > _longest(near, served):
        faults = [
            f"turns lasted {took.turn_ns / 1e6:.1f} ms, and the policy's {turn_ns / 1e6:.1f} ms"
        ]
    found = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, took.share, strict=True))
    return Check(
        "window",
        not faults,
        "; ".join(faults[:3]) or f"shares: {found}; turns of {took.turn_ns / 1e6:.1f} ms",
        "The device was not shared as the policy says: a longer time slice, a smaller threshold",
        evidence,
    )
