"""A sweep from start to end: plan, run what is missing, compare."""

import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from omegaconf import DictConfig, open_dict

from runner.config.errors import UserError
from runner.platforms.choose import shared
from runner.results.console import console
from runner.runs import files, tracking
from runner.runs.load import sweep_in
from runner.runs.record import Summary, SweepRecord
from runner.sweep import estimate, resume
from runner.sweep.caveats import caveats
from runner.sweep.conclusion import conclude, is_concluded
from runner.sweep.display import show_plan, show_sweep, show_warnings
from runner.sweep.plan import Compose, Point, plan
from runner.trial.status import Status

Launch = Callable[[Path, list[list[str]]], None]


class Ended(SystemExit):
    """The end of a sweep. exit_code: 0, 1 if a run failed or is not logged, 130 after Ctrl-C.
    folder: the sweep's, None if nothing was to be run."""

    def __init__(self, exit_code: int, folder: Path | None = None) -> None:
        super().__init__(exit_code)
        self.exit_code, self.folder = exit_code, folder


def run(arguments: list[str], compose: Compose, launch: Launch) -> Ended:
    """Run a sweep. Raises `UserError` before anything is started or written if any point is
    wrong."""
    points = plan(arguments, compose)
    config = points[0].config
    show_warnings(caveats(points))
    store = tracking.open_store(config)
    if config.dry_run:
        show_plan([(each.name, estimate.minutes(each)) for each in points])
        return Ended(0)
    wanted = resume.identity(points, shared(config))
    folder = resume.find(Path(config.output_root), wanted) if config.sweep.resume else None
    if folder is None:
        folder, todo = create_folder(points[0]), points
    else:
        todo = resume.missing(points, folder)
        kept = len(points) - len(todo)
        console.print(f"resuming {folder.name}: {kept} of {len(points)} runs are there already")
        if not todo:
            console.print("  nothing is left to run; sweep.resume=false runs all anew")
        resume.set_aside(todo, folder)
    _write(points, folder, wanted)
    if todo and (trouble := store.reach()):
        show_warnings([f"{trouble}; {_later(folder)}"])
    interrupted = False
    try:
        if todo:
            launch(folder, [_job_overrides(each, folder) for each in todo])
    except KeyboardInterrupt:
        interrupted = True
    finished = _collect(points, folder)
    _write(points, folder, wanted)
    _report(points, finished, folder, anew=bool(todo))
    logged = _log(store, folder)
    if interrupted:
        console.print("interrupted: what was measured until then is kept")
        return Ended(130, folder)
    good = logged and all(summary.as_expected for _, summary in finished)
    return Ended(0 if good else 1, folder)


def create_folder(first: Point) -> Path:
    """The sweep's folder, its name the task set's and the time's; made now, so that a place that
    cannot be written is found before anything runs."""
    root = Path(first.config.output_root)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = root / f"{first.trial.task_set}-{stamp}"
    try:
        attempt = 1
        while True:
            try:
                folder.mkdir(parents=True)
                return folder.absolute()
            except FileExistsError:
                if not folder.is_dir():
                    raise
                attempt += 1
                folder = root / f"{first.trial.task_set}-{stamp}-{attempt}"
    except OSError as error:
        raise UserError(
            "output_root",
            root,
            f"cannot be written: {error.strerror}",
            remedy="choose another folder",
        ) from error


def _job_overrides(each: Point, folder: Path) -> list[str]:
    """The point's own overrides and what was decided for the sweep."""
    return [
        *each.overrides,
        f"platform.name={each.trial.platform}",
        f"platform.placement={each.trial.placement}",
        f"hydra.sweep.dir={_quoted(str(folder))}",
        f"hydra.sweep.subdir={_quoted(each.folder)}",
        f"hydra.job.name={_quoted(each.name)}",
    ]


def _quoted(text: str) -> str:
    """A string for Hydra's override grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def set_sweep_folder(config: DictConfig, folder: Path) -> None:
    """Tell the launcher where the sweep writes."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)


def _collect(points: list[Point], folder: Path) -> list[tuple[Point, Summary]]:
    """What every started point left in its folder; a point that left nothing has failed."""
    finished = []
    for each in points:
        run_folder = folder / each.folder
        if not run_folder.exists():
            continue  # after Ctrl-C: never started
        summary = files.read_summary(run_folder) or Summary.failed(each.name)
        finished.append((each, summary))
    return finished


def _write(points: list[Point], folder: Path, identity: str) -> None:
    """sweep.json: before the first run, so that a killed sweep can be resumed, and at the end."""
    found = ((each, files.read_summary(folder / each.folder)) for each in points)
    record = SweepRecord(
        identity=identity,
        command=shlex.join(["python", "-m", "runner", *sys.argv[1:]]),
        swept=tuple(points[0].values),
        repeats=points[0].config.sweep.repeats,
        points=len(points),
        runs=tuple(resume.entry(each, summary) for each, summary in found),
    )
    files.write_json(folder / files.SWEEP, record)


def _report(
    points: list[Point], finished: list[tuple[Point, Summary]], folder: Path, anew: bool
) -> None:
    """The table over the swept values, the comparison figure, conclusions, failures.
    anew: whether a run was added to what had been concluded."""
    config, swept = points[0].config, list(points[0].values)
    rows = [([each.values[key] or "any" for key in swept], summary) for each, summary in finished]
    if len(points) > 1:
        show_sweep(swept, rows)
    if anew or not is_concluded(config, len(finished), folder):
        _draw(swept, rows, folder)
        conclude(config, len(finished), folder)
    else:
        console.print("judged already: expectations.json, comparison.*, report/ in its folder")
    for _, summary in finished:
        if summary.status is Status.FAILED and not summary.as_expected:
            console.print(f"FAILED {summary.name}: {summary.reason}")
    console.print(f"results: {folder}", soft_wrap=True)


def _log(store: tracking.Store, folder: Path) -> bool:
    """Log what is not logged yet, also of earlier attempts, and tell the link; whether all is."""
    runs = sweep_in(folder)
    problems = tracking.log_missing(runs, store)
    for problem in problems:
        console.print(f"not logged to MLflow: {problem}", markup=False, soft_wrap=True)
    if problems:
        console.print(_later(folder), markup=False, soft_wrap=True)
    if link := tracking.compare_link(runs):
        console.print(f"compare: {link}", soft_wrap=True)
        if link.startswith(tracking.UI):
            console.print("         (served by: make ui)")
    return not problems


def _later(folder: Path) -> str:
    command = shlex.join(["python", "-m", "runner.log", str(folder)])
    return f"the runs' folders are complete; to log them later: {command}"


def _draw(swept: list[str], rows: list[tuple[list[str], Summary]], folder: Path) -> None:
    figures = [
        (", ".join(values), summary)
        for values, summary in rows
        if summary.status is Status.FINISHED
    ]
    if figures and swept:
        from runner.results.figures.run import sweep_p99

        sweep_p99(folder / f"{files.COMPARISON}.png", folder.name, ", ".join(swept), figures)
