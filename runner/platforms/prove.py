"""The proof before the window, the same on every platform: a platform supplies probes and a
witness, and does not judge. Of the window: `runner.proof.window`. What counts: docs/proof.md."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Protocol

from runner.config.spec import TrialSpec
from runner.platforms.contract import Peers
from runner.proof.checks import (
    Check,
    Interception,
    Proof,
    Suspension,
    Verdict,
    check_hardware_hint,
    check_interception,
    check_level,
    enough,
)

#: Probes of a level that may be added to those that were asked for.
MORE_PROBES = 12
#: So often a look at a queue may take twice as long as the one before.
DOUBLINGS = 3


class Provable(Protocol):
    """What a session supplies, over the tasks of its own process if nothing else is said."""

    @property
    def trial(self) -> TrialSpec: ...

    def hardware_hints(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """The hardware's own hint that each task was given, and has."""

    def suspensions(self, peers: Peers) -> Sequence[Suspension]:
        """Probes of the level of all processes' tasks, on queues of the app-managed scheduler."""

    def schedule(self) -> None:
        """Put the measurement's queues on the streams, under the trial's scheduler, with hints."""

    def witness(self) -> Sequence[Interception]:
        """Requests of every task, alone, before somebody who knows no queues."""

    def scheduled(self, peers: Peers) -> Sequence[Check]:
        """That whoever schedules knows all queues, where that can be asked."""


def prove(session: Provable, peers: Peers, say: Callable[[str], None]) -> Proof:
    """Arms without XSched claim nothing, but those that hint at the hardware that it has the hints.
    XSched wants the scheduler before the queues and the hints after them."""
    trial, checks = session.trial, list[Check]()
    suspensions: list[Suspension] = []
    if trial.arm.hints_hardware:
        told = peers.gather(session.hardware_hints())
        asked, found = (dict(ChainMap(*each)) for each in zip(*told, strict=True))
        checks.append(check_hardware_hint(asked, found))
    if trial.uses_xsched:
        say("proving the preemption level")
        suspensions = [*session.suspensions(peers)]
        checks.append(check_level(suspensions))
        say("proving interception")
        session.schedule()
    alone = [*chain(*peers.in_turn(session.witness))]
    if trial.uses_xsched:
        checks += [check_interception(alone), *session.scheduled(peers)]
    return Proof(tuple(checks), claim(trial), tuple(suspensions), tuple(alone))


def claim(trial: TrialSpec) -> Verdict:
    """What a trial is proof of."""
    if trial.uses_xsched:
        return Verdict.PROVEN
    return Verdict.IN_PLACE if trial.arm.hints_hardware else Verdict.NOT_CLAIMED


def probe(suspend: Callable[[int], Suspension], wanted: int) -> list[Suspension]:
    """Suspensions of one queue at random moments: all of them, until `wanted` have told what there
    is to tell. suspend: makes the next, and is told how many were disturbed, to have patience."""
    probes: list[Suspension] = []
    while not enough(probes, wanted) and len(probes) < wanted + MORE_PROBES:
        probes.append(suspend(sum(each.disturbed for each in probes)))
    return probes


def patience(disturbed: int) -> int:
    """How many times longer to look whether a queue is quiet, on a machine that was too slow for
    so many probes."""
    return int(2 ** min(disturbed, DOUBLINGS))
