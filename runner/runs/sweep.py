"""Runs that belong together: a sweep, or several that are repeats of each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.runs.record import SweepRecord
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

    @property
    def name(self) -> str:
        """The folder's, else the task sets'."""
        if self.folder is not None:
            return self.folder.absolute().name
        return ", ".join(dict.fromkeys(run.task_set for run in self.runs))

    @property
    def swept(self) -> tuple[str, ...]:
        """Keys other than the arm that the runs differ in."""
        return tuple(dict.fromkeys(key for run in self.runs for key in run.values))
