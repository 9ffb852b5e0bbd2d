"""A sweep from start to end: plan, run what is missing, compare."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, open_dict

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.choose import shared
from runner.results.console import console
from runner.runs import locks
from runner.runs.record import Summary
from runner.runs.run import read_run
from runner.sweep import estimate, resume
from runner.sweep.caveats import caveats
from runner.sweep.conclusion import Judgement, conclude
from runner.sweep.derive import problems_of
from runner.sweep.display import show_plan, show_sweep, show_warnings
from runner.sweep.plan import Compose, Planned, plan
from runner.trial.status import Status

#: Below output_root: who is at which sweep.
LOCKS = ".locks"
Launch = Callable[[Path, list[list[str]]], None]


class Ended(SystemExit):
    """The end of a sweep. exit_code: 0, 1 if a run failed, 130 after Ctrl-C. folder: the sweep's,
    None if nothing was to be run."""

    def __init__(self, exit_code: int, folder: Path | None = None) -> None:
        super().__init__(exit_code)
        self.exit_code, self.folder = exit_code, folder


def run(arguments: list[str], compose: Compose, launch: Launch) -> Ended:
    """Run a sweep. Raises `UserError` before anything is started or written if any point is
    wrong."""
    points = plan(arguments, compose)
    config = points[0].config
    show_warnings(caveats(points))
    if config.dry_run:
        show_plan([(each.name, estimate.minutes(each)) for each in points])
        return Ended(0)
    wanted = resume.identity(points, shared(config))
    with one_writer(config, wanted):
        return _run(points, wanted, launch)


def _run(points: list[Planned], wanted: str, launch: Launch) -> Ended:
    config = points[0].config
    root = Path(config.output_root)
    folder = resume.find(root, wanted) if config.sweep.resume else None
    if folder is None:
        folder, todo = create_folder(points[0]), points
    else:
        todo = resume.missing(points, folder)
        kept = len(points) - len(todo)
        console.print(f"resuming {folder.name}: {kept} of {len(points)} runs are there already")
        if not todo:
            console.print("  nothing is left to run; sweep.resume=false runs all anew")
        resume.set_aside(todo, folder)
    resume.write(points, todo, folder, wanted)
    interrupted = False
    try:
        if todo:
            launch(folder, [_job_overrides(each, folder) for each in todo])
    except KeyboardInterrupt:
        interrupted = True
    finished = _collect(points, folder, interrupted)
    resume.write(points, todo, folder, wanted)
    trouble = _report(points, finished, folder)
    if interrupted:
        console.print("interrupted: what was measured until then is kept")
        return Ended(130, folder)
    good = all(summary.as_expected for _, summary in finished) and not trouble
    return Ended(0 if good and not console.lost else 1, folder)


@contextmanager
def one_writer(config: Config, identity: str) -> Iterator[None]:
    """A sweep has one writer: a second start of the same command waits for its end, and then has
    nothing left to run. Raises `UserError` with ``sweep.wait=false``."""
    folder = Path(config.output_root) / LOCKS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            folder.chmod(0o777)  # for all users of the machine, as the locks in it
        held = locks.held(
            folder / f"{identity}.lock",
            config.sweep.wait,
            lambda owner: console.print(f"this sweep is being run by {owner}: waiting for its end"),
        )
        with held:
            yield
    except locks.Taken as taken:
        raise UserError(
            "sweep.wait", "false", f"this sweep is being run by {taken}", remedy="wait for its end"
        ) from None
    except OSError as error:
        raise _unwritable(config.output_root, error) from error


def create_folder(first: Planned) -> Path:
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
        raise _unwritable(root, error) from error


def _unwritable(root: object, error: OSError) -> UserError:
    problem = f"cannot be written: {error.strerror}"
    return UserError("output_root", root, problem, remedy="choose another folder")


def _job_overrides(each: Planned, folder: Path) -> list[str]:
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
    return QuotedString(text, Quote.single).with_quotes()


def set_sweep_folder(config: DictConfig, folder: Path) -> None:
    """Tell the launcher where the sweep writes."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)


def _collect(
    points: list[Planned], folder: Path, interrupted: bool
) -> list[tuple[Planned, Summary]]:
    """What every started point left in its folder. One that left nothing has failed, but for those
    that an interruption kept from starting."""
    finished = []
    for point in points:
        place = folder / point.folder
        if not place.exists():
            if not interrupted:
                gone = Summary.failed(point.name, f"its folder is gone: {place}")
                finished.append((point, gone))
            continue
        finished.append((point, read_run(place).summary))
    return finished


def _report(points: list[Planned], finished: list[tuple[Planned, Summary]], folder: Path) -> bool:
    """The table over the swept values, conclusions, failures, the link; whether something that can
    be derived of the runs could not be."""
    config, swept = points[0].config, list(points[0].values)
    rows = [([point.values[key] or "any" for key in swept], run) for point, run in finished]
    if len(points) > 1:
        show_sweep(swept, rows)
    trouble = conclude(Judgement.of(config), folder)
    for point, summary in finished:
        if summary.status is Status.FAILED and not summary.as_expected:
            console.print(f"FAILED {summary.name}: {summary.reason}")
        for what, why in problems_of(folder / point.folder).items():
            trouble = True
            console.print(f"{point.name}: {what}: {why} (the measurement is complete)")
    console.print(f"results: {folder}", soft_wrap=True)
    return trouble
