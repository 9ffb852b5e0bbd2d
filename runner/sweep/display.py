"""What a person sees: progress while a trial runs, a table when it has ended, one for a sweep."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from runner.config.spec import TrialSpec
from runner.metrics.percentiles import percentiles
from runner.results.console import console, table
from runner.trial.recording import COMPLETED, SCHEDULED, Recording

if TYPE_CHECKING:
    from runner.results.expectations import Finding

PLAIN_EVERY_S = 10.0


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)


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
                _ms(float(np.median(latency)) if known else None),
                _ms(percentiles(latency, 99)[0] if known else None),
            )
        header = Text.assemble((self._title, "bold"), f"  {self._phase}")
        self._live.update(Group(header, rows) if recording else header, refresh=True)


def show_run(summary: dict[str, Any]) -> None:
    """The result of one run; of a failed one, why and what to do."""
    if summary["status"] == "FAILED":
        if summary["as_expected"]:
            console.print(Text.assemble(("REFUSED, as expected ", "bold"), summary["name"]))
        else:
            console.print(Text.assemble(("FAILED ", "bold red"), summary["name"]))
        console.print(Text(f"  {summary['reason']}"))
        console.print(Text(f"  {summary['folder']}", style="dim"))
        return
    rows = table("task", "priority", "requests", "p50 ms", "p99 ms", "max ms", "req/s", "proof")
    for name, task in summary["tasks"].items():
        latency = task["latency_ms"]
        rows.add_row(
            name,
            str(task["priority"]),
            f"{task['requests']}/{task['wanted']}",
            *(_ms(latency.get(figure)) for figure in ("p50", "p99", "max")),
            f"{task['throughput_rps']:.2f}",
            summary["proof"],
        )
    if summary["status"] == "KILLED":
        console.print(Text.assemble(("KILLED ", "bold yellow"), summary["name"]))
    console.print(rows)
    console.print(
        f"  saturation {_share(summary['saturation'])} · "
        f"{_count(summary['preemptions'])} preemptions · window {summary['window_s']:.1f} s"
    )
    for note in summary["notes"]:
        console.print(Text(f"  {note}", style="yellow"))
    if not summary["as_expected"] and summary["status"] == "FINISHED":
        console.print(Text("  a refusal was expected, and there is a result", style="bold red"))
    console.print(Text(f"  {summary['folder']}", style="dim"))


def show_sweep(swept: list[str], runs: list[tuple[list[str], dict[str, Any]]]) -> None:
    """One row a run: the swept values, then p50 and p99 of the two most urgent priorities."""
    summaries = [summary for _, summary in runs]
    priorities = sorted({int(p) for s in summaries for p in s["priorities"]}, reverse=True)[:2]
    heads = [f"priority {p}\n{figure} ms" for p in priorities for figure in ("p50", "p99")]
    rows = table(
        "run",
        *(key.rpartition(".")[2] for key in swept),
        *heads,
        "pre-\nemptions",
        "satu-\nration",
        "proof",
    )
    for values, summary in runs:
        figures = [
            summary["priorities"].get(str(p), {}).get("latency_ms", {}).get(figure)
            for p in priorities
            for figure in ("p50", "p99")
        ]
        failed = summary["status"] == "FAILED"
        rows.add_row(
            summary["name"],
            *values,
            *(_ms(figure) for figure in figures),
            *("–", "–")
            if failed
            else (_count(summary["preemptions"]), _share(summary["saturation"])),
            summary["proof"] if summary["status"] == "FINISHED" else summary["status"],
        )
    console.print(rows)


def show_warnings(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(Text(f"warning: {line}", style="yellow"), soft_wrap=True)


def show_plan(trials: list[tuple[str, float | None]]) -> None:
    """What a sweep would run, in order, and how long that would take."""
    rows = table("", "trial", "minutes")
    rows.columns[1].justify = "left"
    for number, (name, minutes) in enumerate(trials, start=1):
        rows.add_row(str(number), name, "?" if minutes is None else f"{minutes:.1f}")
    console.print(rows)
    known = [minutes for _, minutes in trials if minutes is not None]
    unknown = len(trials) - len(known)
    more = f", and {unknown} trials whose models were never timed here" if unknown else ""
    console.print(f"{len(trials)} trials, about {sum(known):.0f} minutes{more}; nothing was run")


def show_expectations(findings: "Sequence[Finding]") -> None:
    """What an experiment was meant to show, and whether it did."""
    rows = table("expected", "bound", "found", "95 % interval", "")
    for finding in findings:
        value = finding.value
        rows.add_row(
            finding.what,
            finding.bounds,
            f"{value:.3g}" if isinstance(value, float) else str(value or "–"),
            str(finding.interval or finding.why or "–"),
            finding.verdict,
        )
    console.print(rows)
