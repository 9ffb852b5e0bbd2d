"""What a sweep comes to, for the terminal, the page and MLflow alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from runner.config.errors import UserError
from runner.results.cells import BAD, GOOD, NEITHER, SOFT, Mark
from runner.results.comparison import Comparison, compare
from runner.results.expectations import Finding
from runner.results.points import Point, points_of
from runner.results.sections import proofs, valid_of
from runner.results.verdict import conclusions, controls, expected
from runner.results.wording import warnings
from runner.runs.run import Run
from runner.runs.sweep import Sweep


@dataclass(frozen=True, eq=False)
class Outcome:
    """What runs come to. comparison: None where nothing can be compared, and `why_not` says why.
    findings: what became of what was expected."""

    runs: Sweep
    comparison: Comparison | None
    why_not: str = ""
    findings: Sequence[Finding] = ()

    @classmethod
    def of(
        cls,
        runs: Sweep,
        findings: Sequence[Finding] = (),
        baseline: str | None = None,
        primary: str | None = None,
        must: bool = False,
    ) -> "Outcome":
        """baseline, primary: as of `compare`. Raises `UserError` where nothing can be compared and
        something `must` be."""
        try:
            return cls(runs, compare(runs.runs, baseline, primary), "", findings)
        except UserError as error:
            if must:
                raise
            return cls(runs, None, str(error).partition("\n")[0], findings)

    @cached_property
    def points(self) -> list[Point]:
        return points_of(self.runs)

    @property
    def verdicts(self) -> list[Mark]:
        """What decides whether to read on, the worst first. Nothing is good beside an expectation
        that is not met, or a run that is not valid."""
        compared = [Mark(f"No comparison: {self.why_not}.")]
        doubts: list[Mark] = []
        if self.comparison:
            compared = conclusions(self.comparison)
            doubts = [Mark(warning, BAD) for warning in warnings(self.comparison)]
        said = expected(self.findings)
        unmet = [mark for mark in said if mark.kind == BAD]
        if unmet or self.validity.kind == BAD:
            compared = [Mark(m.text, NEITHER if m.kind == GOOD else m.kind) for m in compared]
        return [*unmet, *compared, *(mark for mark in said if mark not in unmet), *doubts]

    @property
    def validity(self) -> Mark:
        """Of all runs."""
        valid, asked = valid_of(self.runs.runs)
        counted = f"{valid} of {asked} runs are valid" if asked else "no run has a result"
        return Mark(
            f"{counted}; scheduling: {proofs(self.runs.runs)}.", SOFT if valid == asked else BAD
        )

    @property
    def asides(self) -> list[Mark]:
        """Validity, controls, and runs that the comparison does without."""
        asides = [self.validity]
        if self.comparison and (beside := controls(self.comparison)):
            asides.append(Mark("; ".join(beside) + ".", SOFT))
        if self.comparison and self.comparison.left_out:
            asides.append(Mark(f"Not compared: {_reasons(self.comparison.left_out)}.", BAD))
        return asides


#: That a line names.
MOST_REASONS = 6


def _reasons(left_out: Iterable[tuple[Run, str]]) -> str:
    by_reason: dict[str, list[str]] = {}
    for run, reason in left_out:
        by_reason.setdefault(reason.partition(":")[0], []).append(run.name)
    named = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    others = len(named) - MOST_REASONS
    return "; ".join([*named[:MOST_REASONS], *([f"{others} more reasons"] if others > 0 else [])])
