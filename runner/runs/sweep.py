"""Runs that belong together: a sweep, or several that are repeats of each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from runner.config.errors import UserError, did_you_mean
from runner.config.settings import CALLED_BY, select
from runner.metrics.names import figure_named
from runner.runs import files
from runner.runs.record import Figure, SweepRecord
from runner.runs.run import Run


@dataclass(frozen=True, eq=False)
class Sweep:
    """Runs in the order of sweep.json. record: what sweep.json says; empty where the runs are not
    of one sweep. folder: the sweep's, None where there is none."""

    runs: tuple[Run, ...]
    record: SweepRecord
    folder: Path | None

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, at: int) -> Run:
        return self.runs[at]

    @property
    def name(self) -> str:
        """The folder's, else the task sets'."""
        if self.folder is not None:
            return self.folder.resolve().name
        return ", ".join(dict.fromkeys(run.task_set for run in self.runs))

    @property
    def swept(self) -> tuple[str, ...]:
        """Keys other than the arm that the runs differ in."""
        return tuple(dict.fromkeys(key for run in self.runs for key in run.values))

    @property
    def concluded_by(self) -> str | None:
        """The figure that was to decide when it was last concluded, which may be another than when
        its runs began; None for what they declare."""
        return files.read_conclusion(self.folder).asked if self.folder else None

    def select(self, selector: str) -> tuple[Run, ...]:
        """The runs that a selector means, ``arm=xsched xsched.threshold=64``. Raises `UserError`
        for what is none, and for a key that no run has."""
        keys = {"arm", *self.swept, *(key for run in self.runs for key in run.parameters)}
        known = keys | {key.removesuffix(".name") for key in keys} | {*CALLED_BY}
        for token in selector.split():
            key, equals, _ = token.partition("=")
            if not equals:
                allowed = "key=value, separated by blanks"
                raise UserError("selector", token, "not understood", allowed)
            if key not in known:
                remedy = did_you_mean(key, known)
                raise UserError("selector", token, "no run has that key", remedy=remedy)
        return tuple(select(selector, self.runs))

    def figures(self, *names: str) -> pa.Table:
        """Figures of every run that has them, a row each: run, arm, repeat, the swept values,
        figure, unit, value and the ends of its 95 % interval (null where there is none). names:
        as ``p99_ms/highest``. Raises `UserError` for a metric that there is not."""
        asked = {name: figure_named(name) for name in names}
        rows = [
            {
                "run": run.name,
                "arm": run.arm,
                "repeat": run.repeat,
                **{key: run.values.get(key) for key in self.swept},
                "figure": name,
                "unit": figure.metric.unit,
                **_ends(Figure.of(found)),
            }
            for run in self.runs
            for name, figure in asked.items()
            if run.status.has_figures and (found := figure.of(run.measured))
        ]
        texts = ("run", "arm", *self.swept, "figure", "unit")
        numbers = (("repeat", pa.int64()), *((n, pa.float64()) for n in ("value", "low", "high")))
        return pa.Table.from_pylist(
            rows, pa.schema([*((name, pa.string()) for name in texts), *numbers])
        )


def _ends(figure: Figure) -> dict[str, float | None]:
    low, high = figure.interval or (None, None)
    return {"value": figure.value, "low": low, "high": high}
