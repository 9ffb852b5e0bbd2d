"""What counts as proof that a trial's scheduling took effect: pure judgement of evidence.

Return codes, log lines and submission counts can all lie. So each check rests on completions
counted by an independent witness, and a trial that fails one is refused, never a result.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from xsched_bindings.companion import Calls
from xsched_bindings.types import PreemptLevel

#: Inputs that a task's requests take in turn; requests before the window whose results are kept.
INPUTS = 2
REFERENCES = 2 * INPUTS
#: Share of a request's commands, and of the device's time for them, that may be past the queue.
PAST_THE_QUEUE = 0.01


class Verdict(StrEnum):
    """What a trial's proof came to. Not decidable: the window could not have shown the contrary. An
    arm without XSched claims no scheduling, and one with the hardware's own hints that these are in
    place. Of a trial that was interrupted nothing is known of its window."""

    PROVEN = "proven"
    FAILED = "failed"
    UNDECIDED = "not decidable"
    IN_PLACE = "in place"
    NOT_CLAIMED = "not claimed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Check:
    """One thing that was to be shown. remedy: what to do if it was not. decided: whether the
    evidence could have shown the contrary."""

    name: str
    passed: bool
    finding: str
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decided: bool = True


@dataclass(frozen=True)
class Proof:
    """The checks of a trial. claim: what it is proof of, if it passes. suspensions: the probes
    behind the level's check, which also time it. alone: requests with nobody beside them, before
    the window."""

    checks: tuple[Check, ...] = ()
    claim: Verdict = Verdict.PROVEN
    suspensions: tuple["Suspension", ...] = ()
    alone: tuple["Interception", ...] = ()

    @property
    def verdict(self) -> Verdict:
        if not self.checks:
            return Verdict.NOT_CLAIMED
        if not all(check.passed for check in self.checks):
            return Verdict.FAILED
        decided = all(check.decided for check in self.checks)
        return self.claim if decided else Verdict.UNDECIDED

    @property
    def failure(self) -> str:
        """Why the proof failed and what to do about it, "" if it did not."""
        return "; ".join(
            f"{check.name}: {check.finding}. {check.remedy}".strip()
            for check in self.checks
            if not check.passed
        )

    def also(self, *checks: Check) -> "Proof":
        return replace(self, checks=(*self.checks, *checks))


def bound(level: PreemptLevel, threshold: int) -> int:
    """Most commands that a suspended queue may still complete."""
    return {
        PreemptLevel.block: threshold,
        PreemptLevel.deactivate: 1,
        PreemptLevel.interrupt: 0,
    }[level]


def least(level: PreemptLevel, threshold: int, batch_size: int) -> int:
    """Commands that some suspension of several lets complete at the least, 0 to `threshold`. Fewer,
    and the queue is held to less than was asked: by a lower threshold, or a higher level. In steady
    state threshold - batch_size … threshold commands are in flight; the suspension itself takes a
    moment, for which another batch is left out."""
    if level is PreemptLevel.block:
        return max(0, threshold - 2 * batch_size - 1, threshold // 2 - 1)
    return bound(level, threshold)


def undecided(why: str, evidence: Mapping[str, Any]) -> Check:
    """Of the window: whatever had happened, the marks would have looked the same."""
    return Check(
        "window",
        True,
        f"not decidable: {why}",
        "More requests, a higher load or longer requests put more at stake",
        evidence,
        decided=False,
    )


# --- intercepted -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Interception:
    """One calibration request. executed: commands by an independent witness (the executor's own
    count on host, a profiler on GPUs). counted: growth of the queue's command count. device_s: time
    that the device worked on it, where the witness tells. missed_s: of that, the longest commands,
    as many as the queue did not see: which ones these were nobody knows. results: what such
    requests come to, with the inputs in turn and each of them twice (`models.fingerprint`), None of
    what is no number; none where they have none. calls: by function, what the companion of HIP's
    shim made of them, where there is one."""

    task: str
    executed: int
    counted: int
    device_s: float = 0.0
    missed_s: float = 0.0
    results: tuple[float | None, ...] = ()
    calls: Mapping[str, Calls] = field(default_factory=dict)


def references(results: Sequence[float], requests: int) -> tuple[float | None, ...]:
    """The last of a task's results as `Interception` has them. requests: how many the task has made
    by now, each of the next input in turn."""
    last = [each if math.isfinite(each) else None for each in results[-REFERENCES:]]
    first = (requests - len(last)) % INPUTS
    return (*last[first:], *last[:first])


def past_the_queue(executed: int, counted: int) -> bool:
    """Whether more commands were executed than the queue can have seen."""
    return counted < (1 - PAST_THE_QUEUE) * executed


def went_past(calls: Mapping[str, Calls]) -> str:
    """The functions of which some calls did, "" if none."""
    return ", ".join(f"{name} ({each.passed})" for name, each in calls.items() if each.passed)


def check_calls(calls: Mapping[str, Calls]) -> Check:
    """Of the window, where the companion of HIP's shim is in place: no call went past its queue."""
    past, through = went_past(calls), sum(each.queued + each.held for each in calls.values())
    return Check(
        "calls in the window",
        not past,
        f"calls that no queue can hold went past them: {past}"
        if past
        else f"{through} calls went through the queues by the companion",
        "No single queue can hold such a call: do without it, or leave the task out",
        {name: asdict(each) for name, each in calls.items()},
    )


def check_interception(evidence: Sequence[Interception]) -> Check:
    """The queues saw what a witness saw, and no call is known to have gone past them. A witness
    that saw nothing is none."""
    faults = [
        f"{e.task}: {e.counted} of {e.executed} commands"
        for e in evidence
        if not e.executed
        or past_the_queue(e.executed, e.counted)
        or e.missed_s > PAST_THE_QUEUE * e.device_s
    ]
    faults += [f"{e.task}: {past} went past it" for e in evidence if (past := went_past(e.calls))]
    return Check(
        "intercepted",
        not faults,
        f"the queue did not see what was executed ({', '.join(faults)})"
        if faults
        else f"the queues saw {sum(e.counted for e in evidence)} of "
        f"{sum(e.executed for e in evidence)} commands",
        "Nothing that bypasses the queue can be scheduled: check that commands go through it "
        "(on GPUs: XSched's shim in place, a stream of the task's own)",
        {e.task: _seen(e) for e in evidence},
    )


def _seen(evidence: Interception) -> dict[str, Any]:
    seen: dict[str, Any] = {"executed": evidence.executed, "counted": evidence.counted}
    if evidence.calls:
        seen["calls"] = {name: asdict(each) for name, each in evidence.calls.items()}
    return seen


# --- the hardware's own hint -------------------------------------------------------------------


def check_hardware_hint(asked: Mapping[str, int], found: Mapping[str, int]) -> Check:
    """Arms that hint at the hardware: every task has the hint that it was given there."""
    wrong = [
        f"{task}: {found.get(task)} for {hint}"
        for task, hint in asked.items()
        if found.get(task) != hint
    ]
    return Check(
        "hardware hint",
        not wrong,
        ", ".join(wrong) or f"in place: {', '.join(f'{t} {h}' for t, h in asked.items())}",
        "The device ignores the hint, so this arm is the one without it: leave it out",
        {"asked": dict(asked), "found": dict(found)},
    )


# --- level -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suspension:
    """One suspension under the app-managed scheduler, with commands of fixed work pending.

    passed: commands that surely completed after it; may_have_passed: and with those of which the
    witness cannot say. pending: commands left when the queue had gone quiet.
    quiet: whether nothing completed any more by then. resumed: whether all completed in the end.
    quiet_ms: from the suspension until the last command completed or, at level interrupt, was
    stopped: the preemption latency. batch_size, may_have_passed: 0 in records from before they were
    kept.
    """

    task: str
    level: PreemptLevel
    threshold: int
    passed: int
    pending: int
    quiet: bool
    resumed: bool
    quiet_ms: float
    batch_size: int = 0
    may_have_passed: int = 0

    @property
    def leaked(self) -> bool:
        """Whether the queue went on in spite of it; it need not have gone quiet to show that."""
        return self.passed > bound(self.level, self.threshold)

    @property
    def disturbed(self) -> bool:
        """Whether it tells nothing: whoever suspended, or the device, was held up so long that the
        work ran out by itself, or had not come to rest when it was looked at; or, at level
        interrupt, the command that ran may have ended while the suspension was made."""
        interrupts = self.level is PreemptLevel.interrupt
        ended = interrupts and self.may_have_passed > 0
        return not self.leaked and (ended or not (self.quiet and self.pending))

    @property
    def fault(self) -> str:
        if self.leaked:
            limit = bound(self.level, self.threshold)
            return f"{self.passed} commands completed after a suspension, at most {limit} may"
        return "" if self.resumed else "work did not resume after the suspension"


def enough(probes: Sequence[Suspension], wanted: int) -> bool:
    """Whether these suspensions of one queue tell what there is to tell: it went on in spite of
    one, or `wanted` were undisturbed and one of them let pass what some must."""
    clear = [probe for probe in probes if not probe.disturbed]
    return any(probe.leaked for probe in probes) or (
        len(clear) >= wanted and not _held_back_too_much(clear)
    )


def _held_back_too_much(clear: Sequence[Suspension]) -> str:
    """How, "" if not. Of records that lack the batch size nothing is known."""
    known = [probe for probe in clear if probe.batch_size]
    if not known:
        return ""
    first, most = known[0], max(probe.may_have_passed for probe in known)
    wanted = least(first.level, first.threshold, first.batch_size)
    if most >= wanted:
        return ""
    return (
        f"at most {most} commands completed after {len(known)} suspensions, and at level "
        f"{first.level.name}, {first.threshold}/{first.batch_size}, some let {wanted} or more: the "
        "queue is held to less than was asked"
    )


def _never_clear(probes: Sequence[Suspension]) -> str:
    if not any(probe.quiet and probe.pending for probe in probes):
        return "the queue never went quiet after a suspension"
    return (
        f"the command that ran ended with each of {len(probes)} suspensions, and was to be stopped"
    )


def check_level(evidence: Sequence[Suspension]) -> Check:
    """Of all suspensions, disturbed ones too: none leaked, all work resumed, and each queue was
    held to what was asked and to no less."""
    faults = [f"{s.task}: {s.fault}" for s in evidence if s.fault]
    for task in dict.fromkeys(s.task for s in evidence):
        clear = [s for s in evidence if s.task == task and not s.disturbed]
        if not clear:
            faults.append(f"{task}: {_never_clear([s for s in evidence if s.task == task])}")
        elif fault := _held_back_too_much(clear):
            faults.append(f"{task}: {fault}")
    worst = max((s.passed for s in evidence), default=0)
    disturbed = sum(s.disturbed for s in evidence)
    beside = f" ({disturbed} of them disturbed)" if disturbed else ""
    return Check(
        "level",
        not faults,
        "; ".join([*dict.fromkeys(faults)][:3])
        or f"at most {worst} commands completed after {len(evidence)} suspensions{beside}",
        "The preemption level is not in effect: choose one that the device has",
        {"suspensions": len(evidence), "most_completed": worst, "disturbed": disturbed},
    )
