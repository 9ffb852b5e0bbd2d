"""What is made of a run afterwards, and can be made again: trace, figures. Nothing of it can change
or lose what was measured: what fails is noted beside it, and the sweep's exit code says so."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from runner.proof.checks import Verdict
from runner.runs import files
from runner.runs.run import Run, read_run
from runner.runs.timeline import write_trace


def derive(folder: Path, problems: Mapping[str, str] | None = None) -> None:
    """Make what is missing in a run's folder. problems: what else went wrong after the window, by
    what could not be made."""
    known = dict(problems or {})
    if (folder / files.REQUESTS).exists():
        run = read_run(folder)
        for name, make in _steps(run).items():
            if (folder / name).exists():
                continue
            try:
                make(run)
            except Exception as error:  # of any library, or of the disk
                known[name] = f"{type(error).__name__}: {error}"
    _note(folder, known)


def problems_of(folder: Path) -> dict[str, str]:
    """Why what could not be derived of a run could not, by file."""
    try:
        return files.read_json(folder / files.PROBLEMS, dict[str, str])
    except (OSError, ValueError):
        return {}


def _steps(run: Run) -> dict[str, Callable[[Run], None]]:
    steps: dict[str, Callable[[Run], None]] = {files.TRACE: write_trace}
    if run.status.has_figures and run.tasks:
        steps |= {files.LATENCY_CDF: _latency_cdf, files.TIMELINE: _timeline}
    return steps


def _latency_cdf(run: Run) -> None:
    from runner.results.drawings.run import latency_cdf

    latency_cdf(run.folder / files.LATENCY_CDF, _title(run), list(run.tasks.values()))


def _timeline(run: Run) -> None:
    from runner.results.drawings.timelines import timeline

    timeline(run, _title(run))


def _title(run: Run) -> str:
    proof = run.summary.proof
    claim = "" if proof is Verdict.NOT_CLAIMED else f", {proof}"
    return f"{run.summary.sweep}: {run.name} ({run.arm}{claim})"


def _note(folder: Path, problems: Mapping[str, str]) -> None:
    with suppress(OSError):  # a disk that is full has said so already
        if problems:
            files.write_json(folder / files.PROBLEMS, problems)
        else:
            (folder / files.PROBLEMS).unlink(missing_ok=True)
