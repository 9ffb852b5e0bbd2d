"""A sweep from start to end: plan, run what is missing, compare."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.choose import shared
from runner.results.console import console
from runner.runs import files, locks, tracking, view
from runner.runs.load import sweep_in
from runner.runs.record import Summary
from runner.runs.run import read_run
from runner.sweep import estimate, resume
from runner.sweep.caveats import caveats
from runner.sweep.conclusion import Judgement, conclude
from runner.sweep.derive import derive, problems_of
from runner.sweep.display import show_plan, show_sweep, show_warnings
from runner.sweep.plan import Compose, Planned, plan
from runner.trial.status import Status

#: Below output_root: who is at which sweep.
LOCKS = ".locks"
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
        names = [each.name for each in points]
        show_plan(list(zip(names, estimate.minutes(points), strict=True)))
        return Ended(0)
    wanted = resume.identity(points, shared(config))
    with one_writer(config, wanted):
        return _run(points, wanted, launch, store)


def _run(points: list[Planned], wanted: str, launch: Launch, store: tracking.Store) -> Ended:
    with _writing(points[0].config.output_root):
        folder, todo = _begin(points, wanted)
    interrupted, trouble = False, []
    try:
        if todo:
            if store and (problem := store.reach()):
                show_warnings([f"{problem}; {_later(folder)}"])
            launch(folder, [_job_overrides(each, folder) for each in todo])
    except KeyboardInterrupt:
        interrupted = True
    except OSError as error:  # a run's folder could not even be made
        trouble.append(f"the sweep ended early: {_said(error, folder)}")
    for each in points:
        if each not in todo:
            derive(folder / each.folder)
    found = _collect(points, folder, interrupted)
    try:
        resume.write(points, todo, found, folder, wanted)
    except OSError as error:  # what was written before the first run stays
        trouble.append(f"{files.SWEEP} is not up to date: {_said(error, folder)}")
    trouble += _report(points, found, folder)
    for line in trouble:
        console.print(line, soft_wrap=True)
    console.print(f"results: {folder}", soft_wrap=True)
    logged = _log(store, folder)
    if interrupted:
        console.print("interrupted: what was measured until then is kept")
        return Ended(130, folder)
    good = all(summary.as_expected for summary in found.values())
    return Ended(0 if good and logged and not trouble and not console.lost else 1, folder)


def _begin(points: list[Planned], wanted: str) -> tuple[Path, list[Planned]]:
    """The sweep's folder with sweep.json, and what is to be run. Raises OSError."""
    config = points[0].config
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
    there = [each for each in points if each not in todo]
    resume.write(points, todo, _collect(there, folder), folder, wanted)
    return folder, todo


@contextmanager
def one_writer(config: Config, identity: str) -> Iterator[None]:
    """A sweep has one writer: a second start of the same command waits for its end, and then has
    nothing left to run. Raises `UserError` with ``sweep.wait=false``."""
    folder = Path(config.output_root) / LOCKS
    held = locks.held(
        folder / f"{identity}.lock",
        config.sweep.wait,
        lambda owner: console.print(f"this sweep is being run by {owner}: waiting for its end"),
    )
    with ExitStack() as stack:
        with _writing(config.output_root):
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                folder.chmod(0o1777)  # for all users of the machine, as the locks in it
            try:
                stack.enter_context(held)
            except locks.Taken as taken:
                problem = f"this sweep is being run by {taken}"
                raise UserError("sweep.wait", "false", problem, remedy="wait for its end") from None
        yield


@contextmanager
def _writing(root: str) -> Iterator[None]:
    """Whoever gave a place that cannot be written learns it before anything runs."""
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {_said(error, root)}"
        raise UserError("output_root", root, problem, remedy="choose another folder") from error


def _said(error: OSError, place: object) -> str:
    return f"{error.strerror}: {error.filename or place}"


def create_folder(first: Planned) -> Path:
    """The sweep's folder, its name the task set's and the time's. Raises OSError."""
    root = Path(first.config.output_root)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = root / f"{first.trial.task_set}-{stamp}"
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


def _job_overrides(each: Planned, folder: Path) -> list[str]:
    """The point's own overrides and what was decided for the sweep."""
    names = {"sweep.dir": str(folder), "sweep.subdir": each.folder, "job.name": each.name}
    return [
        *each.overrides,
        f"platform.name={each.trial.platform}",
        f"platform.placement={each.trial.placement}",
        *(f"hydra.{k}={QuotedString(v, Quote.single).with_quotes()}" for k, v in names.items()),
    ]


def _collect(
    points: list[Planned], folder: Path, interrupted: bool = False
) -> dict[Planned, Summary]:
    """What every started point left in its folder. One that left nothing has failed, but for those
    that an interruption kept from starting."""
    found = {}
    for point in points:
        place = folder / point.folder
        if place.exists():
            found[point] = read_run(place).summary
        elif not interrupted:
            found[point] = Summary.failed(point.name, f"its folder is gone: {place}")
    return found


def _report(points: list[Planned], found: Mapping[Planned, Summary], folder: Path) -> list[str]:
    """Show the table over the swept values, conclusions and failures; returns what could not be
    derived of the runs."""
    config, swept = points[0].config, list(points[0].values)
    if len(points) > 1 and console.verbose:
        values = ([point.values[key] or "any" for key in swept] for point in found)
        show_sweep(swept, list(zip(values, found.values(), strict=True)))
    trouble = conclude(Judgement.of(config), folder)
    for summary in found.values():
        if summary.status is Status.FAILED and not summary.as_expected:
            console.print(f"FAILED {summary.name}: {summary.reason}", soft_wrap=True)
    return trouble + [
        f"{point.name}: {what}: {why} (the measurement is complete)"
        for point in found
        for what, why in problems_of(folder / point.folder).items()
    ]


def _log(store: tracking.Store, folder: Path) -> bool:
    """Log what is not logged yet, also of earlier attempts, and tell the link; whether all is."""
    try:
        runs = sweep_in(folder)
    except UserError as error:  # it was moved or deleted meanwhile, or could not be written
        console.print(f"not logged to MLflow: {error}", soft_wrap=True)
        return False
    problems = tracking.log_missing(runs, store)
    for problem in problems:
        console.print(f"not logged to MLflow: {problem}", soft_wrap=True)
    if problems:
        console.print(_later(folder), soft_wrap=True)
    if link := view.link(runs):
        console.print(f"in MLflow: {link}", soft_wrap=True)
        if command := view.served_by(runs):
            console.print(f"  served by: {command}", soft_wrap=True)
    return not problems


def _later(folder: Path) -> str:
    command = shlex.join(["python", "-m", "runner.log", str(folder)])
    return f"the runs' folders are complete; to log them later: {command}"
