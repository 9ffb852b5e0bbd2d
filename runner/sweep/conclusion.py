"""What a sweep comes to: expectations, the comparison of its arms, the report. All of it is derived
from the runs, and made anew whenever something that it depends on has changed."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runner.config.errors import UserError
from runner.config.schema import Config, ExpectConfig
from runner.results.console import console
from runner.runs import durable, files, provenance
from runner.runs.load import load
from runner.runs.repeats import MIN_REPEATS
from runner.runs.sweep import Sweep
from runner.sweep.derive import reason
from runner.sweep.display import show_expectations
from runner.trial.status import Status


@dataclass(frozen=True)
class Judgement:
    """What runs are judged by. primary: the figure that decides, None for p99 of the highest
    priority."""

    expect: Sequence[ExpectConfig]
    primary: str | None

    @classmethod
    def of(cls, config: Config) -> "Judgement":
        return cls(config.expect, config.sweep.primary)

    @classmethod
    def declared(cls, runs: Sweep) -> "Judgement":
        """What the runs themselves were to be judged by. Raises `UserError` if none says it."""
        said = next((run.parameters for run in runs if run.parameters), None)
        if said is None:
            raise UserError("", "", "no run has ended yet, or none has kept its configuration")
        try:
            expect = msgspec.convert(said.get("expect") or [], list[ExpectConfig])
            return cls(expect, msgspec.convert(said.get("sweep.primary"), str | None))
        except msgspec.ValidationError as error:
            raise UserError("", "", f"expect or sweep.primary is none: {error}") from error


def conclude(judgement: Judgement, folder: Path) -> list[str]:
    """Judge the sweep in a folder, unless that has been done of the same runs in the same way.
    Returns what went wrong."""
    try:
        runs = load(folder)
    except UserError as error:  # it was moved or deleted meanwhile
        return [f"not concluded: {error}"]
    conclusions: list[Conclusion] = []
    if len(runs) > 1 and runs.record.swept:
        conclusions.append(_overview)
    if judgement.expect:
        conclusions.append(_expectations)
    if len(runs) > 1 and runs.record.repeats >= MIN_REPEATS:
        conclusions.append(_comparison)
    if not conclusions:
        return []
    depends_on = _digest(judgement, runs)
    judged = ""
    with suppress(OSError, ValueError):
        judged = (folder / files.CONCLUDED).read_text()
    if judged == depends_on:
        console.print("judged already: expectations.json, comparison.*, report/ in its folder")
        return []
    wrong = []
    for conclusion in conclusions:
        try:
            conclusion(judgement, runs, folder)
        except Exception as error:  # of any library, or of the disk
            wrong.append(f"not concluded: {reason(error)} (the runs are complete)")
    if not wrong:
        with suppress(OSError):  # then it is concluded again
            durable.write(folder / files.CONCLUDED, depends_on.encode())
    return wrong


Conclusion = Callable[[Judgement, Sweep, Path], None]


def _overview(judgement: Judgement, runs: Sweep, folder: Path) -> None:
    """comparison.png: the swept values against p99."""
    rows = [
        (", ".join(run.setting(key) or "any" for key in runs.record.swept), run.summary)
        for run in runs
        if run.status is Status.FINISHED
    ]
    if rows:
        from runner.results.drawings.run import sweep_p99
        from runner.results.drawings.style import save

        swept = ", ".join(runs.record.swept)
        save(sweep_p99(folder.name, swept, rows), folder / f"{files.COMPARISON}.png")


def _digest(judgement: Judgement, runs: Sweep) -> str:
    """Of all that conclusions depend on: the runs as they were recorded, what they are judged by,
    and the code that does it."""
    records = {run.folder.name: run.summary for run in runs}
    parts = (records, judgement.expect, judgement.primary, provenance.code())
    encoded = msgspec.json.encode(parts, enc_hook=str, order="sorted")
    return hashlib.sha256(encoded).hexdigest()


def _expectations(judgement: Judgement, runs: Sweep, folder: Path) -> None:
    from runner.results import expectations

    findings = expectations.evaluate(judgement.expect, runs.runs)
    files.write_json(folder / files.EXPECTATIONS, findings)
    show_expectations(findings)


def _comparison(judgement: Judgement, runs: Sweep, folder: Path) -> None:
    from runner.results import tables
    from runner.results.comparison import compare
    from runner.results.report.build import build

    try:
        comparison = compare(runs.runs, primary=judgement.primary)
    except UserError as error:  # one arm alone, or nothing that finished
        console.print(f"no comparison: {error}")
        return
    tables.show(comparison)
    durable.write(folder / f"{files.COMPARISON}.csv", tables.as_csv(comparison).encode())
    durable.write(folder / f"{files.COMPARISON}.tex", tables.as_latex(comparison).encode())
    files.write_json(folder / f"{files.COMPARISON}.json", tables.as_plain(comparison))
    page = build(runs, folder / files.REPORT, primary=judgement.primary)
    console.print(f"report: {page}", soft_wrap=True)
