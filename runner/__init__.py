"""The experiment runner for preemptive accelerator scheduling with XSched.

For notebooks: `load` (docs/analysis.md). For a terminal: ``python -m runner`` and its commands.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.runs.sweep import Sweep

__all__ = ["load"]

#: What people type: ``python -m runner.compare`` is `runner.commands.compare`.
__path__.append(str(Path(__file__).parent / "commands"))


def load(*paths: str | Path, uri: str | None = None) -> "Sweep":
    """The runs at `paths`, with their figures, requests and parameters.

    paths: folders of sweeps or of runs, zips that ``python -m runner.export`` made, ids of MLflow
    runs, ``mlflow:<experiment>``; several sweeps of the same points are repeats of each other.
    uri: the tracking store, by default MLFLOW_TRACKING_URI, else SQLite below ``outputs``. Raises
    `runner.config.errors.UserError` for what is no run, and for runs that cannot be compared.
    """
    from runner.runs.load import load as read  # pyarrow, which a typing error can do without

    return read(*paths, uri=uri)
