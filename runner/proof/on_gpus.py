"""Judgement of evidence on GPUs, where XSched keeps no log that could be asked: pure functions.

Two kinds of evidence stand for it. Before the window every task runs a rehearsal, probe commands of
fixed work, and its `Course` says when they completed. In the window only requests are recorded, and
what is judged is whether lower-priority work fits into the time that was left to it.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.config.spec import TaskSpec
from runner.proof.checks import Check, HeldBack, bound
from xsched_bindings.policies.base import UTILIZATION

#: From a queue's first command until lower ones have stopped: the event, the server's answer and,
#: at level interrupt, the end of the time slice that is taken away. They may complete until then.
SETTLE_NS = 5_000_000
#: A queue that stood still for this share of a common span, with work pending, was suspended.
STANDSTILL = 0.5
#: Solo device times are measured to a few percent, and clocks move.
TOLERANCE = 0.10
SHARE_ERROR = 0.10

Span = tuple[int, int]


def certain_commands(units: int) -> int:
    """Commands that surely completed when `units` probe units have: a unit is two commands, work
    and count, and the first may have begun before the counting did."""
    return max(0, 2 * units - 1)


def possible_commands(units: int) -> int:
    """Commands that may have completed when `units` have: one of the next unit besides."""
    return 2 * units + 1


@dataclass(frozen=True)
class Course:
    """One task's probe under the live policy: `units` had completed at the times `at_ns`, of
    `total`; submitted at `began_ns`, all done at `done_ns` (monotonic, the same for all
    processes)."""

    task: str
    began_ns: int
    done_ns: int
    at_ns: tuple[int, ...]
    units: tuple[int, ...]
    total: int

    def completed(self, span: Span) -> int:
        """Units that completed in it."""
        return self._until(span[1]) - self._until(span[0])

    def _until(self, at_ns: int) -> int:
        index = bisect_right(self.at_ns, at_ns)
        return self.units[index - 1] if index else 0

    def pending(self, at_ns: int) -> bool:
        return self.began_ns < at_ns and self._until(at_ns) < self.total

    def longest_standstill(self, span: Span) -> int:
        """Nanoseconds within the span for which looks have shown no completion. Where nobody
        looked, for the machine was busy, nothing is known."""
        longest, since, units = 0, span[0], self._until(span[0])
        for at, now in zip(self.at_ns, self.units, strict=True):
            if not span[0] <= at <= span[1]:
                continue
            if now != units:
                since, units = at, now
            longest = max(longest, at - since)
        return longest


def merged(spans: Sequence[Span]) -> list[Span]:
    """Overlapping or touching spans joined, in order; empty ones left out."""
    joined: list[Span] = []
    for begin, end in sorted(span for span in spans if span[1] > span[0]):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def hpf_intervals(tasks: Sequence[TaskSpec], courses: Sequence[Course]) -> list[HeldBack]:
    """Under HPF: each task while any of a higher priority was ready, in the form that
    `runner.proof.checks.check_policy` judges."""
    priority = {task.name: task.priority for task in tasks}
    intervals = []
    for task in tasks:
        course = next(course for course in courses if course.task == task.name)
        higher = [c for c in courses if priority[c.task] > task.priority]
        for span in merged([(c.began_ns + SETTLE_NS, c.done_ns) for c in higher]):
            intervals.append(
                HeldBack(
                    task.name,
                    span[0],
                    certain_commands(course.completed(span)),
                    bound(task.level, task.threshold),
                    preempted=course.pending(span[1]),
                )
            )
    return intervals


def standing_still(courses: Sequence[Course]) -> list[HeldBack]:
    """Queues that stood still while all had work: suspensions where there should be none."""
    span = (max(c.began_ns for c in courses) + SETTLE_NS, min(c.done_ns for c in courses))
    length = span[1] - span[0]
    return [
        HeldBack(course.task, span[0], 0, 0, preempted=True)
        for course in courses
        if length > 0 and course.longest_standstill(span) > STANDSTILL * length
    ]


def check_turns(courses: Sequence[Course], unit_s: float) -> Check:
    """Policies that share by time slices: while all queues had work, they ran by turns."""
    span = (max(c.began_ns for c in courses) + SETTLE_NS, min(c.done_ns for c in courses))
    elapsed_s = max((span[1] - span[0]) / 1e9, 1e-9)
    done = {course.task: course.completed(span) for course in courses}
    at_once = sum(done.values()) * unit_s / elapsed_s
    # Side by side it would be one each; by turns it is one, and commands in flight at a switch.
    passed = len(courses) < 2 or at_once < (1 + len(courses)) / 2
    return Check(
        "policy",
        passed,
        f"{at_once:.2f} queues worked at a time, of {len(courses)} that had work",
        "Turns are no longer than what a suspension lets through: a longer xsched.timeslice_us or "
        "a smaller threshold. If that does not help, the policy does not act on these queues",
        {"units": done, "elapsed_s": elapsed_s, "unit_s": unit_s},
    )


# --- the server ----------------------------------------------------------------------------------


def check_server(asked: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Check:
    """Placement processes: the server knows every process's queue, as asked, on one device.

    asked: task, pid, level, threshold and batch_size of each task. found: the server's answer."""
    faults = []
    devices = set()
    for task in asked:
        mine = [queue for queue in found if queue["pid"] == task["pid"]]
        if len(mine) != 1:
            faults.append(f"{task['task']}: the server knows {len(mine)} queues of its process")
            continue
        devices.add(mine[0]["device"])
        for key in ("level", "threshold", "batch_size"):
            if mine[0][key] != task[key]:
                faults.append(f"{task['task']}: {key} {mine[0][key]} for {task[key]}")
    if len(devices) > 1:
        faults.append(f"the queues are on {len(devices)} devices and do not preempt each other")
    return Check(
        "server",
        not faults,
        "; ".join(faults[:3]) or f"the server has {len(asked)} queues on one device, as asked",
        "Commands of these processes are not scheduled together: one server, one GPU, a queue a "
        "process",
        {"asked": [dict(task) for task in asked], "found": [dict(queue) for queue in found]},
    )


# --- the window ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """What a task was served in the window. started, completed: nanoseconds of its requests, of
    shape (requests,). device_s, commands: device time and commands of one request, alone."""

    task: TaskSpec
    started: NDArray[np.int64]
    completed: NDArray[np.int64]
    device_s: float
    commands: int

    @property
    def work_s(self) -> float:
        """Device time of the requests that completed."""
        return len(self.completed) * self.device_s

    @property
    def in_flight_s(self) -> float:
        """Device time that a suspension still lets through."""
        commands = min(bound(self.task.level, self.task.threshold), self.commands)
        return self.device_s * commands / max(self.commands, 1)

    @property
    def ready(self) -> list[Span]:
        return [(int(a), int(b)) for a, b in zip(self.started, self.completed, strict=True)]


def higher_spans(served: Sequence[Served], priority: int) -> list[Span]:
    """When any task of a higher priority had a request in service."""
    return merged([span for s in served if s.task.priority > priority for span in s.ready])


def preemptions(served: Sequence[Served]) -> int:
    """How often a more urgent task became ready while a request of a lower one was in service."""
    count = 0
    for low in served:
        begins = [begin for begin, _ in higher_spans(served, low.task.priority)]
        for begin in begins:
            at = int(np.searchsorted(low.started, begin))
            count += int(at > 0 and low.completed[at - 1] > begin)
    return count


def check_window(served: Sequence[Served], window_ns: int) -> Check:
    """HPF, by request: no task's work exceeds the time when nothing more urgent was ready and what
    suspensions let through. Unscheduled, lower tasks work on meanwhile and exceed it."""
    faults, evidence = [], []
    for low in served:
        spans = higher_spans(served, low.task.priority)
        if not spans:
            continue
        left_s = max(0, window_ns - sum(end - begin for begin, end in spans)) / 1e9
        allowed_s = (left_s + len(spans) * low.in_flight_s + low.device_s) * (1 + TOLERANCE)
        if low.work_s > allowed_s:
            faults.append(
                f"{low.task.name} completed {low.work_s:.2f} s of device time, and "
                f"{allowed_s:.2f} s were left to it"
            )
        evidence.append(
            {
                "task": low.task.name,
                "work_s": low.work_s,
                "left_s": left_s,
                "allowed_s": allowed_s,
                "suspensions": len(spans),
            }
        )
    return Check(
        "window",
        not faults,
        "; ".join(faults[:3]) or f"the work of {len(evidence)} lower tasks fits the time left",
        "Priorities were not kept: suspended queues went on, or the urgent ones ran dry between "
        "their own commands (a host that cannot feed the GPU: larger batches, fewer tasks)",
        {"tasks": evidence},
    )


def check_shares(served: Sequence[Served]) -> Check:
    """UP with closed loops: device time is shared as configured."""
    total_s = sum(s.work_s for s in served) or 1.0
    entitled = sum(s.task.hint(UTILIZATION) or 0 for s in served) or 1
    shares = {s.task.name: s.work_s / total_s for s in served}
    faults = [
        f"{s.task.name} had {shares[s.task.name]:.2f} of the device time, entitled to "
        f"{(s.task.hint(UTILIZATION) or 0) / entitled:.2f}"
        for s in served
        if abs(shares[s.task.name] - (s.task.hint(UTILIZATION) or 0) / entitled) > SHARE_ERROR
    ]
    found = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    return Check(
        "window",
        not faults,
        "; ".join(faults) or f"shares of device time: {found}",
        "The device was not shared as configured: a longer time slice or a smaller threshold",
        {"shares": shares},
    )
