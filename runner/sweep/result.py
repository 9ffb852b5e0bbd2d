"""What a sweep came to, for programs: ``--json`` and ``--strict``."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.config.errors import UserError
from runner.metrics.names import name_of
from runner.results.comparison import compare
from runner.results.expectations import NOT_MET, Finding, read_findings
from runner.results.pairs import declared_primary, figure_of, primary_of
from runner.results.points import points_of
from runner.runs.load import load
from runner.runs.record import Figure
from runner.runs.run import Run
from runner.runs.sweep import Sweep
from runner.sweep.display import Outlook
from runner.trial.status import Status

#: Of the JSON object.
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run. primary: the figure that decides, with its interval within the run; None where it
    has none. reason: why it failed."""

    name: str
    folder: str
    arm: str
    values: dict[str, str | None]
    repeat: int
    status: Status
    valid: bool
    proof: str
    primary: Figure | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class TreatmentResult:
    """One treatment by the figure that decides; ends of the interval that the data cannot give, and
    effects that there are not, are null."""

    treatment: str
    values: dict[str, str | None]
    baseline: str
    figure: str
    ratio: float | None
    difference: float | None
    interval: tuple[float | None, float | None] | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """Printed by ``--json``. folder: None if nothing was run. outlook: of a dry run."""

    exit_code: int
    folder: str | None = None
    primary: str | None = None
    runs: Sequence[RunResult] = ()
    verdicts: Sequence[TreatmentResult] = ()
    expectations: Sequence[Finding] = ()
    outlook: Outlook | None = None
    schema: int = SCHEMA

    @property
    def faults(self) -> list[str]:
        """What ``--strict`` does not let pass."""
        invalid = [run.name for run in self.runs if run.status is Status.FINISHED and not run.valid]
        unmet = [each.what for each in self.expectations if each.verdict == NOT_MET]
        return [
            *([f"not valid: {', '.join(invalid)}"] if invalid else []),
            *(f"expectation not met: {what}" for what in unmet),
        ]


def result_of(folder: Path | None, exit_code: int, outlook: Outlook | None = None) -> Result:
    """What is in the sweep's folder. Raises `UserError` for one that cannot be read."""
    if folder is None:
        return Result(exit_code=exit_code, outlook=outlook)
    runs = load(folder)
    primary, figures = _primaries(runs)
    return Result(
        exit_code=exit_code,
        folder=str(folder),
        primary=primary,
        runs=[_run(run, figures.get(run)) for run in runs],
        verdicts=_verdicts(runs),
        expectations=read_findings(folder),
    )


def _primaries(runs: Sweep) -> tuple[str | None, dict[Run, Figure]]:
    """The figure that decides, and its value in each run that has it."""
    ended = [run for run in runs if run.status is Status.FINISHED]
    if not ended:
        return None, {}
    try:
        deciding = primary_of(points_of(ended), runs.concluded_by or declared_primary(ended))
    except UserError:  # no run has it
        return None, {}
    found = {}
    for run in ended:
        if (of := deciding.of(run.task_set)) and (estimate := figure_of(run, *of)):
            found[run] = Figure.of(estimate)
    names = dict.fromkeys(name_of(deciding.metric, each) for each in deciding.scopes.values())
    return ", ".join(names), found


def _run(run: Run, primary: Figure | None) -> RunResult:
    return RunResult(
        name=run.name,
        folder=str(run.folder),
        arm=run.arm,
        values=run.values,
        repeat=run.repeat,
        status=run.status,
        valid=run.summary.valid,
        proof=str(run.summary.proof or ""),
        primary=primary,
        reason=run.summary.reason,
    )


def _verdicts(runs: Sweep) -> list[TreatmentResult]:
    """None where nothing can be compared, as of one arm alone."""
    with suppress(UserError):
        return [
            TreatmentResult(
                treatment=row.treatment,
                values=row.values,
                baseline=row.baseline,
                figure=row.figure,
                ratio=row.ratio,
                difference=row.difference,
                interval=(row.interval.low, row.interval.high) if row.interval else None,
                verdict=row.verdict,
            )
            for row in compare(runs.runs, primary=runs.concluded_by).primary
        ]
    return []
