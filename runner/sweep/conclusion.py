"""What a sweep comes to: expectations, the comparison of its arms, the report. All of it is derived
from the runs, and made anew whenever something that it depends on has changed."""

import hashlib
import math
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from runner.config.errors import UserError
from runner.config.schema import Config, ExpectConfig
from runner.metrics.intervals import Interval
from runner.results import expectations, sections, tables
from runner.results.cells import as_markdown
from runner.results.console import console
from runner.results.outcome import Outcome
from runner.results.points import Values, spoken
from runner.results.wording import stem_of
from runner.runs import durable, files, provenance
from runner.runs.load import load
from runner.runs.record import Conclusion
from runner.runs.sweep import Sweep
from runner.sweep.derive import reason

#: What MLflow takes in no metric's name.
NO_METRIC = re.compile(r"[^\w./: -]", re.ASCII)


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
    """Judge the sweep in a folder and show what it comes to; nothing is written if that has been
    done of the same runs in the same way. Returns what went wrong."""
    try:
        runs = load(folder)
    except UserError as error:  # it was moved or deleted meanwhile
        return [f"not concluded: {error}"]
    if len(runs) < 2 and not judgement.expect:
        return []
    try:
        findings = expectations.evaluate(judgement.expect, runs.runs)
        outcome = Outcome.of(runs, findings, primary=judgement.primary)
        _show(outcome)
    except Exception as error:  # of any library
        return [_said(error)]
    made_of = _digest(judgement, runs)
    if files.read_conclusion(folder).of == made_of:
        console.print("judged already: nothing that it depends on has changed")
        wrong = []
    else:
        wrong = _keep(judgement, outcome, folder, made_of)
    if (page := folder / files.REPORT / files.REPORT_PAGE).is_file():
        console.print(f"report: {page}", soft_wrap=True)
    return wrong


def _digest(judgement: Judgement, runs: Sweep) -> str:
    """Of all that conclusions depend on: the runs as they were recorded, what they are judged by,
    and the code that does it."""
    records = {run.folder.name: run.summary for run in runs}
    parts = (records, judgement.expect, judgement.primary, provenance.code())
    encoded = msgspec.json.encode(parts, enc_hook=str, order="sorted")
    return hashlib.sha256(encoded).hexdigest()


def _show(outcome: Outcome) -> None:
    tables.show(outcome)
    if console.verbose and outcome.comparison:
        tables.show_comparison(outcome.comparison, everything=True)


# --- what is written -----------------------------------------------------------------------------


def _keep(judgement: Judgement, outcome: Outcome, folder: Path, made_of: str) -> list[str]:
    """All files, each whatever becomes of the others, and conclusion.json once they are there."""
    wrong = []
    for write in (_expectations, _comparison, _report):
        try:
            write(outcome, folder)
        except Exception as error:  # of any library, or of the disk
            wrong.append(_said(error))
    if not wrong:
        with suppress(OSError):  # then it is concluded again
            made = _conclusion(judgement, outcome, folder, made_of)
            files.write_json(folder / files.CONCLUDED, made)
    return wrong


def _said(error: Exception) -> str:
    return f"not concluded: {reason(error)} (the runs are complete)"


def _expectations(outcome: Outcome, folder: Path) -> None:
    path = folder / files.EXPECTATIONS
    if outcome.findings:
        files.write_json(path, outcome.findings)
    else:
        path.unlink(missing_ok=True)


def _comparison(outcome: Outcome, folder: Path) -> None:
    stem = folder / files.COMPARISON
    if comparison := outcome.comparison:
        durable.write(stem.with_suffix(".csv"), tables.as_csv(comparison).encode())
        durable.write(stem.with_suffix(".tex"), tables.as_latex(comparison).encode())
        files.write_json(stem.with_suffix(".json"), tables.as_plain(comparison))
    else:
        for kind in (".csv", ".tex", ".json"):
            stem.with_suffix(kind).unlink(missing_ok=True)


def _report(outcome: Outcome, folder: Path) -> None:
    from runner.results.report.build import build

    # Of the sweep's own report, drawings of an earlier one that this has not would stay.
    shutil.rmtree(folder / files.REPORT / files.FIGURES, ignore_errors=True)
    build(outcome, folder / files.REPORT)


def _conclusion(judgement: Judgement, outcome: Outcome, folder: Path, made_of: str) -> Conclusion:
    arms = outcome.comparison.arms if outcome.comparison else []
    rows = outcome.comparison.primary if outcome.comparison else []
    of_set = "{}/".format if len({row.task_set for row in arms}) > 1 else "".format
    metrics = {
        _metric(of_set(row.task_set) + row.figure, row.arm, row.values): row.value.value
        for row in arms
    }
    for row in rows:
        if row.ratio is not None:
            interval = row.interval or Interval(math.nan, math.nan)
            known = {"ratio": row.ratio, "ratio_low": interval.low, "ratio_high": interval.high}
            metrics |= {
                _metric(of_set(row.task_set) + key, row.treatment, row.values): value
                for key, value in known.items()
            }
    return Conclusion(
        of=made_of,
        asked=judgement.primary,
        verdicts=tuple(mark.text for mark in (*outcome.verdicts, *outcome.asides)),
        primary=arms[0].figure if arms else "",
        table=as_markdown(sections.points_table(outcome.points, outcome.comparison)),
        picture=_picture(folder, arms[0].metric if arms else ""),
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
    )


def _metric(figure: str, arm: str, values: Values) -> str:
    """``p99_ms/priority_1/xsched threshold 8``: a section of MLflow's page for each figure."""
    return NO_METRIC.sub("_", f"{figure}/{spoken(arm, values)}".replace(",", "").replace("=", " "))


def _picture(folder: Path, metric: str) -> str:
    """The drawing of the figure that decides, by its path in the sweep's folder."""
    for stem in ("heat_map", stem_of(metric), "p99", "latency_cdf"):
        path = Path(files.REPORT) / files.FIGURES / f"{stem}.png"
        if (folder / path).is_file():
            return str(path)
    return ""
