"""What a person sees: progress while a trial runs, a table when it has ended, one for a sweep."""

import math
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from runner.config.spec import TrialSpec
from runner.metrics.percentiles import percentiles
from runner.results.console import IS_MAXIMUM, console, table
from runner.runs.record import Summary
from runner.trial.recording import COMPLETED, SCHEDULED, Recording
from runner.trial.status import Status

PLAIN_EVERY_S = 10.0


def _shown(value: float | None, form: str = ".1f") -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)


def _figure(summary: Summary, name: str) -> str:
    """A quantile that is the maximum for want of requests is called that."""
    found = summary.figures.get(name)
    return _shown(found.value) + (IS_MAXIMUM if found.is_maximum else "") if found else _shown(None)


class TrialDisplay:
    """Progress of one trial: a live table in a terminal, a line now and then elsewhere."""

    def __init__(self, trial: TrialSpec, title: str) -> None:
        self._trial = trial
        self._title = title
        self._phase = "starting"
        self._last_line = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> "TrialDisplay":
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
            self._update(None)
        else:
            console.print(self._title)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        self._phase = text
        if self._live is not None:
            self._update(None)

    def show(self, recording: Recording) -> None:
        """Called about once a second."""
        if self._live is not None:
            self._update(recording)
        elif time.monotonic() - self._last_line > PLAIN_EVERY_S:
            self._last_line = time.monotonic()
            done = [recording.progress(index)[0] for index in range(len(self._trial.tasks))]
            counts = ", ".join(
                f"{task.name} {count}/{task.requests}"
                for task, count in zip(self._trial.tasks, done, strict=True)
            )
            console.print(f"  {self._phase}: {counts}")

    def _update(self, recording: Recording | None) -> None:
        assert self._live is not None
        rows = table("task", "done", "p50 ms", "p99 ms")
        for index, task in enumerate(self._trial.tasks if recording else ()):
            assert recording is not None
            done, warmups = recording.progress(index)
            times = recording.rows(index)[warmups:]
            latency = (times[:, COMPLETED] - times[:, SCHEDULED]) / 1e6
            known = len(latency) > 0
            rows.add_row(
                task.name,
                f"{done}/{task.requests}",
                _shown(float(np.median(latency)) if known else None),
                _shown(percentiles(latency, 99)[0] if known else None),
            )
        header = Text.assemble((self._title, "bold"), f"  {self._phase}")
        self._live.update(Group(header, rows) if recording else header, refresh=True)


def show_run(summary: Summary) -> None:
    """The result of one run; of a failed one, why and what to do."""
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
    if summary.status is Status.KILLED:
        console.print(Text.assemble(("KILLED ", "bold yellow"), summary.name))
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


def show_plan(trials: list[tuple[str, float | None]]) -> None:
    """What a sweep would run, in order, and how long that would take."""
    rows = table("", "trial", "minutes", left=["trial"])
    for number, (name, minutes) in enumerate(trials, start=1):
        rows.add_row(str(number), name, "?" if minutes is None else f"{minutes:.1f}")
    console.print(rows)
    known = [minutes for _, minutes in trials if minutes is not None]
    unknown = len(trials) - len(known)
    more = f", and {unknown} trials whose models were never timed here" if unknown else ""
    console.print(f"{len(trials)} trials, about {sum(known):.0f} minutes{more}; nothing was run")
