"""Policies that decide by the state of the queues (hpf, kedf, lax): whoever they hold back stops.

What should have run is the policy replayed over the times at which tasks had work
(`runner.proof.replay`); what ran is in the device's own marks (`runner.proof.marks`). Nobody who
schedules is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import scipy  # type: ignore[import-untyped]  # it ships no types

from runner.proof.checks import Check, least, undecided
from runner.proof.marks import Served
from runner.proof.replay import GAP_NS, Decided, replay
from xsched_bindings.policies import Policy

#: A decision may take so long at the median: the event, the policy, the level's own mechanism.
DELAY_NS = 1_000_000
#: So long a task that was let go may take to its next mark, at the median, besides three of its
#: parts shared with all: on host it needs a core for that, on which others may be at work.
GO_ON_NS = 25_000_000
#: A task that goes on for longer was not stopped. On GPUs, where decisions come within 0.1 ms as a
#: rule, also one that goes on for more than this share of a short stretch.
LATE_NS, LATE_PART = 2_000_000, 0.2
#: Tasks that begin their requests within so long of each other may all have been without work just
#: before, as a scheduler sees it: it hears of an end earlier than the host, and of work later.
TOGETHER_NS = 1_000_000
#: Share of the suspensions that may be late, on a machine that does other things too, and how
#: unlikely more must be by chance before they are held against the policy.
LATE_SHARE, CHANCE = 0.05, 0.01
#: Share of the time in which a task is to be held back that it may go on for.
LONG_SHARE = 0.2
#: Of so many suspensions some happen with as many commands in flight as the threshold lets.
MANY = 10
#: A task for whose requests the device works less, of the time that they take alone, has a host
#: that lets its queue run dry within them: a scheduler sees no work, and lets others go on.
BUSY = 0.7
#: Under equal hints, of the stretches in which the tasks' own hints would hold them back, so many
#: may look as if they did.
ALIKE = 0.5


@dataclass(frozen=True)
class Held:
    """A task that had work and that the policy held back, from and until: monotonic nanoseconds.

    by: the tasks that ran instead at its beginning. marks: that it reached while those that it
    waits for were at work. late_ns: how long it went on: the shortest delay of the suspension with
    which the level explains its marks. allowed_ns: how late it may be. still_ns: without a mark of
    it when those had ended. on_ns: when it reached its next one, if its request was still in
    service at the end, else None. at_stake: whether its marks would show that nobody had held it
    back."""

    task: str
    from_ns: int
    until_ns: int
    by: tuple[str, ...]
    marks: int
    late_ns: int
    allowed_ns: float
    still_ns: int
    on_ns: int | None
    at_stake: bool

    @property
    def late(self) -> bool:
        return self.late_ns > self.allowed_ns

    @property
    def stopped(self) -> bool:
        return self.at_stake and not self.late and self.still_ns > DELAY_NS


@dataclass
class _Stretch:
    """One that goes on. by: who ran instead at its beginning; ran: who has until now. idle: since
    when its task has had no work, if it has none."""

    from_ns: int
    by: frozenset[int]
    ran: frozenset[int] = frozenset()
    idle: Decided | None = None


def held_back(policy: Policy, served: Sequence[Served], part: float = 1.0) -> list[Held]:
    """Every stretch in which a task with work was held back for others. A closed loop that goes
    from one request to the next has had work all along, but where all for whom it waits go on
    together, it may have had the device between: another stretch begins. part: of a stretch, that
    a task may go on for at the most."""
    found = []
    going: dict[int, _Stretch] = {}
    begun: dict[int, int] = {}
    ready: frozenset[int] = frozenset()

    def end(number: int, at: Decided) -> None:
        stretch = going.pop(number)
        found.append(_held(served, number, stretch, stretch.idle or at, part))

    for decided in replay(policy, [each.spans for each in served]):
        running = decided.ready & decided.run
        begin, ready = decided.ready - ready, decided.ready
        begun |= dict.fromkeys(begin, decided.at_ns)
        together = begin & running and all(
            decided.at_ns - begun[each] <= TOGETHER_NS for each in running
        )
        for number, stretch in [*going.items()]:
            paused = stretch.idle
            if number in decided.run or not running:
                end(number, decided)
            elif together:  # those that it waited for have ended, and begun anew
                end(number, decided._replace(ready=decided.ready - running))
            elif number not in decided.ready:
                stretch.idle = paused or decided
            elif paused and decided.at_ns - paused.at_ns > GAP_NS:
                end(number, decided)
            else:
                stretch.idle = None
        for number in decided.ready - decided.run - going.keys() if running else ():
            going[number] = _Stretch(decided.at_ns, running)
        for stretch in going.values():
            stretch.ran |= running
    return found


def _held(
    served: Sequence[Served],
    number: int,
    stretch: _Stretch,
    end: Decided,
    part: float,
) -> Held:
    from_ns, ran = stretch.from_ns, stretch.ran
    each, at_ns = served[number], served[number].marks.at_ns
    allowed_ns = min(LATE_NS, part * (end.at_ns - from_ns))
    until_ns = end.at_ns
    if not ran & end.ready:
        until_ns = _worked_until([served[other] for other in ran], from_ns, until_ns, allowed_ns)
    first, last = np.searchsorted(at_ns, (from_ns, until_ns), side="right")
    marks = int(last - first)
    too_many = marks - each.lets_through
    explained_ns = (each.lets_through + 1) * each.part_ns * len(served)
    seen = not each.marks.dropped or first > 0
    return Held(
        each.task.name,
        from_ns,
        end.at_ns,
        tuple(served[other].task.name for other in sorted(stretch.by)),
        marks,
        late_ns=int(at_ns[first + too_many - 1] - from_ns) if too_many > 0 else 0,
        allowed_ns=allowed_ns,
        still_ns=int(until_ns - (at_ns[last - 1] if last > first else from_ns)),
        on_ns=int(at_ns[last]) if number in end.ready and last < len(at_ns) else None,
        at_stake=bool(seen) and until_ns - from_ns > explained_ns + 1.5 * allowed_ns,
    )


def _worked_until(ran: Sequence[Served], from_ns: int, until_ns: int, allowed_ns: float) -> int:
    """When those who ran instead, and have ended, had left their last mark of a stretch. Then the
    device is free, and who was interrupted in mid-command may leave a mark before the host hears of
    it. A host is not later than a suspension may be: what is longer is no excuse, nor are marks
    that the ring has lost."""
    last = [int(np.searchsorted(each.marks.at_ns, until_ns, side="right")) - 1 for each in ran]
    if min(last) < 0:
        return until_ns
    last_ns = max(int(each.marks.at_ns[at]) for each, at in zip(ran, last, strict=True))
    return last_ns if last_ns > from_ns and until_ns - last_ns <= allowed_ns else until_ns


def against(held: Sequence[Held]) -> float | None:
    """Share of the time in which the policy held tasks back that they went on for; None where
    nothing was at stake."""
    staked = [each for each in held if each.at_stake]
    whole_ns = sum(each.until_ns - each.from_ns for each in staked)
    return sum(each.late_ns for each in staked) / whole_ns if staked else None


def preemptions(held: Sequence[Held]) -> int:
    """Requests that were stopped and went on."""
    return len(resumptions(held))


def resumptions(held: Sequence[Held]) -> list[int]:
    """How long requests that were stopped took to go on once they could, nanoseconds: those that
    did before the policy held them back again."""
    found = []
    again_ns: dict[str, int] = {}
    for each in reversed(held):
        on_ns = each.on_ns if each.stopped else None
        if on_ns is not None and on_ns <= again_ns.get(each.task, on_ns):
            found.append(on_ns - each.until_ns)
        again_ns[each.task] = each.from_ns
    return found


def check_order(held: Sequence[Held], served: Sequence[Served]) -> Check:
    """Under a policy that decides by the state of the queues: whoever it held back stopped, in
    time, and whoever could run went on."""
    staked = [each for each in held if each.at_stake]
    decidable = more_than(LATE_SHARE, len(staked), len(staked))
    faults = []
    if decidable:
        faults = [
            *_late(staked),
            *_long(staked),
            *_slow(staked, served),
            *_tight(staked, served),
        ]
    late = sum(each.late for each in staked)
    evidence = {
        "held_back": len(held),
        "at_stake": len(staked),
        "late": late,
        "against_policy": against(held),
        "median_delay_ms": median(each.late_ns for each in staked) / 1e6 if staked else None,
        "preemptions": preemptions(held),
    }
    if not decidable:
        return undecided(
            f"the policy held tasks back {len(held)} times, of which the marks of {len(staked)} "
            f"would show it",
            evidence,
        )
    if faults and (dry := _dry(staked, served)):
        return undecided(f"{dry}, so that others may go on meanwhile ({faults[0]})", evidence)
    return Check(
        "window",
        not faults,
        "; ".join(faults[:4])
        or f"{len(staked) - late} of {len(staked)} suspensions that the marks can show took effect",
        "Priorities were not kept: see the timeline for who went on",
        evidence,
    )


def _dry(staked: Sequence[Held], served: Sequence[Served]) -> str:
    """That the host lets the queues of those run dry for whom others should have waited, or ""."""
    waited_for = {name for each in staked for name in each.by}
    dry = [each for each in served if each.task.name in waited_for and each.busy < BUSY]
    said = ", ".join(f"{each.task.name} keeps the device at work {each.busy:.0%}" for each in dry)
    return f"the host lets queues run dry (alone {said} of its time)" if dry else ""


def _late(staked: Sequence[Held]) -> Iterator[str]:
    """Tasks that were not stopped too often, whoever ran instead or for some who did."""
    kinds = {each.task: (each.task, None) for each in staked}.values()
    pairs = dict.fromkeys((each.task, each.by) for each in staked)
    said = set()
    for task, by in [*kinds, *pairs]:
        mine = [each for each in staked if each.task == task and by in (None, each.by)]
        late = sum(each.late for each in mine)
        if task not in said and more_than(LATE_SHARE, late, len(mine)):
            said.add(task)
            yield (
                f"{task} went on in {late} of {len(mine)} stretches in which "
                f"{' and '.join(by or mine[0].by)} should have run"
            )


def _long(staked: Sequence[Held]) -> Iterator[str]:
    """Tasks that went on for too long, if only a few times: urgent requests that wait for ever are
    few."""
    for task in dict.fromkeys(each.task for each in staked):
        mine = [each for each in staked if each.task == task]
        share = against(mine) or 0.0
        if share > LONG_SHARE:
            late_s = sum(each.late_ns for each in mine) / 1e9
            yield f"{task} went on for {late_s:.2f} s, {share:.0%} of the time that it should wait"


def _slow(staked: Sequence[Held], served: Sequence[Served]) -> Iterator[str]:
    """Decisions that came late, to stop or to go on."""
    delay_ns = median(each.late_ns for each in staked)
    if delay_ns > DELAY_NS:
        yield f"tasks were stopped {delay_ns / 1e6:.0f} ms late at the median"
    slowest_ns = GO_ON_NS + 3 * max(each.part_ns for each in served) * len(served)
    on_ns = median(resumptions(staked) or [0])
    if on_ns > slowest_ns:
        yield f"tasks went on {on_ns / 1e6:.0f} ms late at the median"


def _tight(staked: Sequence[Held], served: Sequence[Served]) -> Iterator[str]:
    """Tasks that were held to less than was asked: none of many suspensions let through what some
    must."""
    for each in served:
        task, marks = each.task, each.marks
        must = least(task.level, task.threshold, task.batch_size)
        mine = [held for held in staked if held.task == task.name and not held.late]
        if len(mine) < MANY or marks.commands < 2 * must:
            continue
        # The first mark may be of a part that had almost ended, and the next one may be near.
        most = int((max(held.marks for held in mine) + 1) * marks.per_part)
        if most < must:
            yield (
                f"at most {most} commands of {task.name} completed after {len(mine)} suspensions, "
                f"and some let {must} or more: it was held to less than was asked"
            )


def more_than(share: float, some: int, of: int) -> bool:
    """Whether so many are more than that share of all, and not by chance (exact binomial)."""
    if some <= share * of:
        return False
    return float(scipy.special.betainc(some, of - some + 1, share)) < CHANCE


def check_nobody_held(held: Sequence[Held]) -> Check:
    """Where all hints are equal: the tasks were not held back as their own hints would have them.
    held: by a policy with these."""
    staked = [each for each in held if each.at_stake]
    stopped = sum(not each.late for each in staked)
    evidence = {"at_stake": len(staked), "stopped": stopped, "against_policy": against(held)}
    if not more_than(ALIKE, len(staked), len(staked)):
        return undecided("tasks were hardly at work at the same time", evidence)
    return Check(
        "window",
        not more_than(ALIKE, stopped, len(staked)),
        f"of {len(staked)} stretches in which their own hints would hold tasks back, they stopped "
        f"in {stopped}",
        "All hints are equal, so nobody should have been held back",
        evidence,
    )
