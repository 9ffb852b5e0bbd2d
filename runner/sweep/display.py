"""What a person sees: progress while a trial runs, a table when it has ended, one for a sweep."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from runner.config.spec import TrialSpec
from runner.metrics.percentiles import percentiles
from runner.results.console import IS_MAXIMUM, console, table
from runner.runs.record import Summary
from runner.sweep.agenda import in_words
from runner.trial.recording import COMPLETED, SCHEDULED, Recording
from runner.trial.status import Status

PLAIN_EVERY_S = 10.0
#: A task that completes nothing for so long is told.
STILL_S = 30.0


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(value: float | None, form: str = ".1f") -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)


def _figure(summary: Summary, name: str) -> str:
    """A quantile that is the maximum for want of requests is called that."""
    found = summary.figures.get(name)
    return _shown(found.value) + (IS_MAXIMUM if found.is_maximum else "") if found else _shown(None)


class TrialDisplay:
    """Progress of one trial: a live table in a terminal, a line now and then elsewhere. title: says
    what runs, anew each time that it is asked."""

    def __init__(self, trial: TrialSpec, title: object) -> None:
        self._trial = trial
        self._title = title
        self._phase = "starting"
        self._last_line = time.monotonic()
        self._counts = [_Count(task.requests) for task in trial.tasks]
        self._live: Live | None = None

    def __enter__(self) -> "TrialDisplay":
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
            self._update(None)
        else:
            console.print(str(self._title), soft_wrap=True)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()
            console.print(str(self._title), soft_wrap=True)

    def say(self, text: str) -> None:
        self._phase = text
        if self._live is not None:
            self._update(None)

    def wait(self, text: str) -> None:
        """Say what it waits for, in a line that stays: why a trial took longer is part of what
        happened."""
        self.say(text)
        console.print(f"  {text}", soft_wrap=True)

    def show(self, recording: Recording) -> None:
        """Called about once a second."""
        if self._live is not None:
            self._update(recording)
        elif time.monotonic() - self._last_line > PLAIN_EVERY_S:
            self._last_line = time.monotonic()
            counts = ", ".join(
                f"{task.name} {self._counts[index].of(recording, index)}"
                for index, task in enumerate(self._trial.tasks)
            )
            console.print(f"  {self._phase}: {counts}", soft_wrap=True)

    def _update(self, recording: Recording | None) -> None:
        assert self._live is not None
        rows = table("task", "done", "p50 ms", "p99 ms")
        for index, task in enumerate(self._trial.tasks if recording else ()):
            assert recording is not None
            _, warmups = recording.progress(index)
            times = recording.rows(index)[warmups:]
            latency = (times[:, COMPLETED] - times[:, SCHEDULED]) / 1e6
            known = len(latency) > 0
            rows.add_row(
                task.name,
                self._counts[index].of(recording, index),
                _shown(float(np.median(latency)) if known else None),
                _shown(percentiles(latency, 99)[0] if known else None),
            )
        header = Text.assemble((str(self._title), "bold"), f"  {self._phase}")
        self._live.update(Group(header, rows) if recording else header, refresh=True)


class _Count:
    """How many requests of a task are done, and since when no more are."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._done, self._since = wanted, -1, 0.0

    def of(self, recording: Recording, index: int) -> str:
        """``3 of 20``, ``0 of 3 for 60 s``."""
        done, now = recording.progress(index)[0], time.monotonic()
        if done != self._done or not recording.start_ns(index):
            self._done, self._since = done, now
        still_s = now - self._since
        still = f" for {still_s:.0f} s" if still_s > STILL_S and done < self._wanted else ""
        return f"{done} of {self._wanted}{still}"


def show_run(summary: Summary) -> None:
    """The result of one run, below its name; of a failed one, why and what to do."""
    if not summary.status.has_figures:
        said = ("REFUSED, as expected ", "bold") if summary.as_expected else ("FAILED ", "bold red")
        console.print(Text.assemble(said, summary.name))
        console.print(Text(f"  {summary.reason}"))
        console.print(Text(f"  {summary.folder}", style="dim"))
        return
    heads = ("task", "priority", "requests", "p50 ms", "p99 ms", "max ms", "req/s", "proof")
    rows = table(*heads, left=["proof"], minor=["priority", "req/s", "max ms"])
    for name, task in summary.tasks.items():
        throughput = summary.value(f"throughput_rps/{name}") or 0.0
        rows.add_row(
            name,
            str(task.priority),
            f"{task.requests}/{task.wanted}",
            *(_figure(summary, f"{figure}_ms/{name}") for figure in ("p50", "p99", "max")),
            f"{throughput:.2f}",
            str(summary.proof),
        )
    killed = ("KILLED ", "bold yellow") if summary.status is Status.KILLED else ""
    console.print(Text.assemble(killed, (summary.name, "bold")))
    console.print(rows)
    console.print(
        f"  saturation {_shown(summary.saturation, '.2f')} · "
        f"{_shown(summary.preemptions, 'd')} preemptions · window {summary.window_s or 0:.1f} s"
    )
    for note in summary.notes:
        console.print(Text(f"  {note}", style="yellow"))
    if not summary.as_expected and summary.status is Status.FINISHED:
        console.print(Text("  a refusal was expected, and there is a result", style="bold red"))
    console.print(Text(f"  {summary.folder}", style="dim"))


def show_sweep(swept: list[str], runs: list[tuple[list[str], Summary]]) -> None:
    """One row a run: the swept values, then p50 and p99 of the two most urgent priorities."""
    found = {p for _, summary in runs for p in summary.priorities}
    priorities = sorted(found, reverse=True)[:2]
    heads = [f"priority {p}\n{figure} ms" for p in priorities for figure in ("p50", "p99")]
    rows = table(
        "run",
        *(key.rpartition(".")[2] for key in swept),
        *heads,
        "pre-\nemptions",
        "satu-\nration",
        "proof",
        left=["proof"],
        minor=[*heads[2:], "satu-\nration", "pre-\nemptions"],
    )
    for values, summary in runs:
        names = (f"{each}_ms/priority_{p}" for p in priorities for each in ("p50", "p99"))
        shown = summary.status.has_figures
        finished = summary.status is Status.FINISHED
        rows.add_row(
            summary.name,
            *values,
            *(_figure(summary, name) for name in names),
            _shown(summary.preemptions, "d") if shown else "–",
            _shown(summary.saturation, ".2f") if shown else "–",
            str(summary.proof if finished else summary.status),
        )
    console.print(rows)


def show_warnings(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Text(f"warning: {line}", style="yellow"), soft_wrap=True)


@dataclass(frozen=True)
class Outlook:
    """What a sweep would do. there: the folder that has some of the runs, "" if none has. supposed:
    minutes in all for each number of milliseconds that a request of the `untimed` models may take
    alone; {} if all are known."""

    swept: Sequence[str]
    runs: Sequence["Awaited"]
    there: str = ""
    untimed: Sequence[str] = ()
    supposed: Mapping[int, float] = field(default_factory=dict)

    @property
    def todo(self) -> list["Awaited"]:
        """What is not there."""
        return [each for each in self.runs if not each.done]

    @property
    def minutes(self) -> float:
        """How long it takes; with models that were never timed, at least."""
        return min(self.supposed.values(), default=sum(each.minutes or 0.0 for each in self.todo))

    @property
    def length(self) -> str:
        """How long it takes: ``about 9 min``; "" if nothing is to do."""
        if not self.supposed:
            return f"about {in_words(60 * self.minutes)}" if self.todo else ""
        guesses = (f"{in_words(60 * minutes)} at {ms} ms" for ms, minutes in self.supposed.items())
        return (
            f"about {', '.join(guesses)} that a request of {', '.join(self.untimed)} takes "
            "alone (never timed here)"
        )


@dataclass(frozen=True)
class Awaited:
    """One run of it, in order. minutes: None where a model was never timed here. done: whether it
    is there."""

    name: str
    values: Sequence[str]
    minutes: float | None
    done: bool


def show_plan(outlook: Outlook) -> None:
    """What a sweep would run, in order, what of it is there, and how long the rest would take."""
    swept = [key.rpartition(".")[2] for key in outlook.swept]
    rows = table("run", *swept, "", "minutes", left=[""])
    for each in outlook.runs:
        minutes = "?" if each.minutes is None else f"{each.minutes:.1f}"
        rows.add_row(each.name, *each.values, *(("there", "") if each.done else ("to do", minutes)))
    console.print(rows)
    there = len(outlook.runs) - len(outlook.todo)
    said = [counted(len(outlook.runs), "trial")]
    if outlook.there:
        said.append(f"{there} there in {outlook.there}, {len(outlook.todo)} to do")
    said += [outlook.length] if outlook.todo else []
    console.print("; ".join([", ".join(said), "nothing was run"]), soft_wrap=True)
