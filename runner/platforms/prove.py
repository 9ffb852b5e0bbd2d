"""The proof before the window, the same on every platform: a platform supplies probes, a witness
and a rehearsal, and does not judge. What counts as proof: docs/architecture.md."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Protocol

from runner.config.arms import Streams
from runner.config.spec import TrialSpec
from runner.platforms.contract import Peers
from runner.proof.checks import (
    Check,
    Interception,
    Proof,
    Suspension,
    check_hardware_hint,
    check_interception,
    check_level,
    enough,
)

#: A rehearsal that the machine has disturbed is repeated, so often in all; and so many probes of a
#: level may be added to those that were asked for.
ATTEMPTS = 4
MORE_PROBES = 12


class Provable(Protocol):
    """What a session supplies, each over the tasks of its own process."""

    @property
    def trial(self) -> TrialSpec: ...

    @property
    def needs_witness(self) -> bool:
        """Whether figures of the window rest on what the witness saw, so that every arm has one."""

    def hardware_hints(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """The hardware's own priority hint that each task's stream was given, and has."""

    def suspensions(self) -> Sequence[Suspension]:
        """Probes of the level, on queues of the app-managed scheduler."""

    def schedule(self) -> None:
        """Put the measurement's queues on the streams, under the trial's scheduler, with hints."""

    def witness(self) -> Sequence[Interception]:
        """One request of every task before somebody who knows no queues."""

    def witnessed(self, requests: Sequence[Interception]) -> None:
        """What the witnesses of all processes saw."""

    def rehearse(self, peers: Peers) -> Sequence[Check]:
        """Every queue at work under the live policy: does it do what the policy says?"""


def prove(session: Provable, peers: Peers, say: Callable[[str], None]) -> Proof:
    """Arms without XSched claim nothing, but those with prioritised streams that the streams have
    their hint. XSched wants the scheduler before the queues and the hints after them."""
    trial, checks = session.trial, list[Check]()
    suspensions: list[Suspension] = []
    if trial.arm.streams is Streams.prioritised:
        checks.append(check_hardware_hint(*session.hardware_hints()))
    if trial.uses_xsched:
        say("proving the preemption level")
        suspensions = [*chain(*peers.in_turn(session.suspensions))]
        checks.append(check_level(suspensions))
        say("proving interception and policy")
        session.schedule()
    if trial.uses_xsched or session.needs_witness:
        requests = [*chain(*peers.in_turn(session.witness))]
        session.witnessed(requests)
    if trial.uses_xsched:
        checks += [check_interception(requests), *session.rehearse(peers)]
    return Proof(tuple(checks), tuple(suspensions))


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
    return int(2 ** min(disturbed, ATTEMPTS - 1))
