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
    steps = _steps(folder)
    if missing := [name for name in steps if not (folder / name).is_file()]:
        run = read_run(folder)
        for name in missing:
            try:
                steps[name](run)
            except Exception as error:  # of any library, or of the disk
                known[name] = reason(error)
    with suppress(OSError):  # a disk that is full has said so already
        if known:
            files.write_json(folder / files.PROBLEMS, known)
        else:
            (folder / files.PROBLEMS).unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """In a line."""
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror + (f": {error.filename}" if error.filename else "")
    else:
        said = f"{type(error).__name__}: {error}"
    return " ".join(said.split())


def problems_of(folder: Path) -> dict[str, str]:
    """Why what could not be derived of a run could not, by file."""
    return files.read_json_or({}, folder / files.PROBLEMS, dict[str, str])


def _steps(folder: Path) -> dict[str, Callable[[Run], None]]:
    """Of what a run measured; nothing of one that is not what was recorded."""
    summary = files.read_summary(folder)
    if summary is None or not summary.files or files.broken(folder, summary):
        return {}
    if not summary.status.has_figures:
        return {files.TRACE: write_trace}
    return {files.TRACE: write_trace, files.LATENCY_CDF: _latency_cdf, files.TIMELINE: _timeline}


def _latency_cdf(run: Run) -> None:
    from runner.results.drawings.run import latency_cdf
    from runner.results.drawings.style import save

    if run.tasks:
        save(latency_cdf(_title(run), list(run.tasks.values())), run.folder / files.LATENCY_CDF)


def _timeline(run: Run) -> None:
    from runner.results.drawings.timelines import timeline

    timeline(run, _title(run))


def _title(run: Run) -> str:
    proof = run.summary.proof
    claim = "" if proof is Verdict.NOT_CLAIMED else f", {proof}"
    return f"{run.summary.sweep}\n{run.name} ({run.arm}{claim})"  # in a column of a paper
