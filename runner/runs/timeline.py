"""What happened when in a run: its requests, marks and the scheduler's log on one clock, as a trace
that opens in Perfetto and as a figure.

Marks and the scheduler's log are on the monotonic clock; the requests count from the beginning of
their group's window, whose instant requests.parquet knows. Warm-up and lead-in are left out.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from runner.runs import durable, files
from runner.runs.files import starts_of
from runner.runs.run import Run, times_of
from runner.trial.recording import COMPLETED

#: Trace events of a file: Perfetto takes a hundred times that, an artifact store would rather not.
MOST_EVENTS = 20_000
#: Waits below this get no slice; every request carries its wait as an argument.
SHORTEST_WAIT_NS = 100_000
#: Of a figure: so many requests of the busiest task stay readable in one column of a paper.
SHOWN_REQUESTS = 24
SHOWN_URGENT = 3
SHOWN_S = 5.0
#: Of each request, so that its progress and its standing still are seen.
MARKS_SHOWN = 10
REQUEST_TRACK, QUEUE_TRACK = 1, 2
TRACKS = 10


class Suspension(NamedTuple):
    """From the moment that it had taken effect to the resumption, nanoseconds after the window
    began. passed: commands that completed meanwhile; None if the log ends before the resumption."""

    from_ns: int
    until_ns: int
    passed: int | None


class Mark(NamedTuple):
    """A part of a request had completed, nanoseconds after the window began. share: of all parts
    of the request, 0 to 1."""

    at_ns: int
    share: float


class SchedulerEvent(NamedTuple):
    """A line of the scheduler's log, after the window began. completed: commands of the task."""

    at_ns: int
    name: str
    completed: int


@dataclass(frozen=True)
class TaskTimeline:
    """One task. requests: scheduled, started, completed of those in the window, in order; the ones
    from `wanted` on only kept the load up. marks: some of each request."""

    name: str
    priority: int
    requests: NDArray[np.int64]
    wanted: int
    marks: list[Mark] = field(default_factory=list)
    events: list[SchedulerEvent] = field(default_factory=list)
    suspensions: list[Suspension] = field(default_factory=list)


@dataclass(frozen=True)
class Timeline:
    """A run. tasks: the most urgent first. notes: what a reader of it must know."""

    tasks: list[TaskTimeline]
    notes: list[str] = field(default_factory=list)

    @property
    def until_ns(self) -> int:
        """The last completion; 0 without requests."""
        return _end_ns(self.tasks)


def _end_ns(tasks: Sequence[TaskTimeline]) -> int:
    return max((int(task.requests[:, COMPLETED].max(initial=0)) for task in tasks), default=0)


def write_trace(run: Run) -> None:
    """trace.json in the run's folder."""
    content = trace(read(run), run.folder.name)
    written = json.dumps(content, separators=(",", ":")) + "\n"
    durable.write(run.folder / files.TRACE, written.encode())


# --- reading -------------------------------------------------------------------------------------


def read(run: Run) -> Timeline:
    """A run's timeline from its requests and, where there are some, the device's marks and the
    scheduler's log."""
    notes = ["the tasks ran one after another; each is shown from its own start"]
    events = run.events() if (run.folder / files.EVENTS).exists() else None
    marks = run.marks() if (run.folder / files.MARKS).exists() else None
    return build(run.requests(), marks, events, run.priority, notes if run.alone else [])


def build(
    requests: pa.Table,
    marks: pa.Table | None,
    events: pa.Table | None,
    priority_of: Callable[[str], int],
    notes: Sequence[str] = (),
) -> Timeline:
    """The timeline of these tables."""
    tasks = [
        TaskTimeline(name, priority_of(name), *times) for name, times in times_of(requests).items()
    ]
    tasks = sorted(tasks, key=lambda task: -task.priority)
    starts = starts_of(requests)
    if marks is not None and starts:
        for task in tasks:
            mine = marks.filter(pc.equal(marks["task"], task.name))
            task.marks.extend(_some(mine, starts[task.name]))
    if events is None or not len(events):
        return Timeline(tasks, list(notes))
    if not starts:
        return Timeline(tasks, [*notes, "the scheduler's log cannot be placed: no start recorded"])
    for task in tasks:
        mine = events.filter(pc.equal(events["task"], task.name)).sort_by("at_ns")
        at_ns = (mine["at_ns"].to_numpy() - starts[task.name]).tolist()
        rest = mine["event"].to_pylist(), mine["completed"].to_pylist()
        log = list(map(SchedulerEvent, at_ns, *rest))
        task.events.extend(event for event in log if event.at_ns >= 0)
        # What was so when the window began is so from its beginning.
        task.suspensions.extend(
            each._replace(from_ns=max(0, each.from_ns))
            for each in _suspensions(log, _end_ns(tasks))
            if each.until_ns > 0
        )
    return Timeline(tasks, list(notes))


def _some(marks: pa.Table, start_ns: int) -> Iterator[Mark]:
    """Of a task's marks in the window, `MARKS_SHOWN` a request: its last one and others as far
    apart."""
    part = marks["part"].to_numpy()
    if not len(part):
        return
    parts = int(part.max()) + 1
    step = -(-parts // MARKS_SHOWN)
    shown = (parts - 1 - part) % step == 0
    shown &= marks["at_ns"].to_numpy() >= start_ns
    at_ns = (marks["at_ns"].to_numpy()[shown] - start_ns).tolist()
    yield from map(Mark, at_ns, ((part[shown] + 1) / parts).tolist())


def _suspensions(events: Sequence[SchedulerEvent], end_ns: int) -> Iterator[Suspension]:
    since: SchedulerEvent | None = None
    for event in events:
        if event.name == "suspend":
            since = event
        elif event.name == "resume" and since is not None:
            yield Suspension(since.at_ns, event.at_ns, event.completed - since.completed)
            since = None
    if since is not None:
        yield Suspension(since.at_ns, max(end_ns, since.at_ns), None)


def readable_ns(shown: Timeline) -> int:
    """How much of a run a figure can show: a few seconds at most, the busiest task's requests wide
    enough to see, but with a few of the most urgent task's in it."""
    busiest = min(_completion(task, SHOWN_REQUESTS) for task in shown.tasks)
    urgent = _completion(shown.tasks[0], SHOWN_URGENT)
    return int(min(max(busiest, urgent), SHOWN_S * 1e9, shown.until_ns))


def _completion(task: TaskTimeline, count: int) -> float:
    """When that many requests had completed; infinite if they never had."""
    return float(task.requests[count - 1, COMPLETED]) if len(task.requests) >= count else np.inf


# --- Chrome's trace-event format -----------------------------------------------------------------

Event = dict[str, Any]
#: What begins at a moment: its events are in the file together or not at all.
Item = tuple[int, list[Event]]


def trace(shown: Timeline, name: str, most: int = MOST_EVENTS) -> dict[str, Any]:
    """Chrome's trace-event JSON: a process a task with a track of requests, one of waits, a counter
    of its progress and a track of its queue; a counter of suspended queues. Over `most` events the
    end is cut."""
    named = [each for pid, task in enumerate(shown.tasks, 1) for each in _names(pid, task)]
    items = [
        item
        for pid, task in enumerate(shown.tasks, 1)
        for item in itertools.chain(
            _requests(pid, task, most), _progress(pid, task, most), _queue(pid, task, most)
        )
    ]
    if any(task.suspensions for task in shown.tasks):
        pid = len(shown.tasks) + 1
        named += _process(pid, "scheduler")
        items += _suspended_queues(pid, shown.tasks, most)
    kept, cut_ns = _first(items, most - len(named))
    until_ns = shown.until_ns if cut_ns is None else cut_ns
    return {
        "traceEvents": named + kept,
        "displayTimeUnit": "ms",
        "otherData": {
            "run": name,
            "cut": cut_ns is not None,
            "shown_until_ms": until_ns / 1e6,
            "whole_ms": shown.until_ns / 1e6,
            "notes": shown.notes,
        },
    }


def _first(items: list[Item], most: int) -> tuple[list[Event], int | None]:
    """The events of the earliest items that have room, in order; and when the first left out
    begins, None if there is none."""
    events: list[Event] = []
    for at_ns, together in sorted(items, key=itemgetter(0)):
        if len(events) + len(together) > most:
            return events, at_ns
        events += together
    return events, None


def _us(nanoseconds: int) -> float:
    return nanoseconds / 1e3


def _track(pid: int, track: int) -> dict[str, int]:
    """Perfetto names a thread by its number alone, so no two processes may share one."""
    return {"pid": pid, "tid": TRACKS * pid + track}


def _process(pid: int, name: str) -> list[Event]:
    return [
        {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}},
        {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}},
    ]


def _names(pid: int, task: TaskTimeline) -> list[Event]:
    tracks = {REQUEST_TRACK: "requests"} | (
        {QUEUE_TRACK: "queue"} if task.events or task.suspensions else {}
    )
    return _process(pid, f"{task.name} (priority {task.priority})") + [
        {"ph": "M", "name": "thread_name", "args": {"name": name}} | _track(pid, track)
        for track, name in tracks.items()
    ]


def _requests(pid: int, task: TaskTimeline, most: int) -> Iterator[Item]:
    track = _track(pid, REQUEST_TRACK)
    for number, (scheduled, started, completed) in enumerate(task.requests[:most].tolist()):
        arguments = {
            "priority": task.priority,
            "scheduled_ms": scheduled / 1e6,
            "started_ms": started / 1e6,
            "completed_ms": completed / 1e6,
            "waited_ms": (started - scheduled) / 1e6,
            "latency_ms": (completed - scheduled) / 1e6,
            "extra": number >= task.wanted,
        }
        served = {"ph": "X", "cat": "request", "name": f"request {number}", "args": arguments}
        yield started, [served | track | {"ts": _us(started), "dur": _us(completed - started)}]
        if started - scheduled >= SHORTEST_WAIT_NS:
            # Waits of one task overlap, and slices of one track may not: Perfetto stacks these.
            wait = {"cat": "wait", "name": "waiting", "id": f"{pid}.{number}"} | track
            began, ended = {"ph": "b", "ts": _us(scheduled)}, {"ph": "e", "ts": _us(started)}
            yield scheduled, [wait | began, wait | ended]


def _progress(pid: int, task: TaskTimeline, most: int) -> Iterator[Item]:
    """A counter that rises through each request: it is level where the task stood still."""
    counter = {"ph": "C", "name": "progress of the request", "pid": pid}
    for mark in task.marks[:most]:
        yield mark.at_ns, [counter | {"ts": _us(mark.at_ns), "args": {"share": mark.share}}]


def _queue(pid: int, task: TaskTimeline, most: int) -> Iterator[Item]:
    on_track = {"cat": "scheduler"} | _track(pid, QUEUE_TRACK)
    for event in task.events[:most]:
        moment = {"ph": "i", "s": "t", "name": event.name, "ts": _us(event.at_ns)}
        yield event.at_ns, [on_track | moment | {"args": {"commands_completed": event.completed}}]
    for from_ns, until_ns, passed in task.suspensions[:most]:
        span = {"ph": "X", "name": "suspended", "ts": _us(from_ns), "dur": _us(until_ns - from_ns)}
        yield from_ns, [on_track | span | {"args": {"commands_passed": passed}}]


def _suspended_queues(pid: int, tasks: Sequence[TaskTimeline], most: int) -> Iterator[Item]:
    steps = sorted(
        step
        for task in tasks
        for each in task.suspensions[:most]
        for step in ((each.from_ns, 1), (each.until_ns, -1))
    )
    level = itertools.accumulate(step for _, step in steps)
    for (at_ns, _), suspended in zip(steps, level, strict=True):
        counter = {"ph": "C", "name": "suspended", "pid": pid, "ts": _us(at_ns)}
        yield at_ns, [counter | {"args": {"queues": suspended}}]
