"""A planned sweep from start to end: run what is missing, compare."""

import math
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.config.command_line import ADDED
from runner.config.errors import UserError
from runner.platforms.choose import devices, server, shared
from runner.results.console import console
from runner.runs import files, tracking, view
from runner.runs.load import sweep_in
from runner.runs.record import Entry, Summary
from runner.runs.run import read_result
from runner.sweep import agenda, estimate, resume, sources, turns, writer
from runner.sweep.caveats import caveats
from runner.sweep.conclusion import Judgement, conclude
from runner.sweep.derive import derive, problems_of, reason
from runner.sweep.display import (
    Awaited,
    Outlook,
    show_plan,
    show_run,
    show_sweep,
    show_warnings,
)
from runner.sweep.plan import Plan, Planned
from runner.sweep.writer import Place, one_writer, said, writing
from runner.trial.status import Status

#: Of a request alone, for which a dry run tells minutes where nobody knows the solo time.
SUPPOSED_MS = (10, 100)
#: Carries jobs, by their folders within the sweep's, to where they run, and returns at their end.
#: The number: how many at once, where it is for us to say.
Launch = Callable[[Path, list[str], int], None]


class Ended(SystemExit):
    """The end of a sweep. exit_code: 0, 1 if a run failed or is not logged, 130 after Ctrl-C.
    folder: the sweep's, None if nothing was to be run. outlook: of a dry run."""

    def __init__(
        self, exit_code: int, folder: Path | None = None, outlook: Outlook | None = None
    ) -> None:
        super().__init__(exit_code)
        self.exit_code, self.folder, self.outlook = exit_code, folder, outlook


def run(planned: Plan, launch: Launch, job_minutes: float | None = None) -> Ended:
    """Run a sweep. Raises `UserError` before anything is started or written if it cannot be.
    job_minutes: what the launcher lets a job take, None if that is all the same."""
    points, config = planned.points, planned.points[0].config
    show_warnings([*planned.remarks, *caveats(points)])
    store = tracking.open_store(config)
    identity = resume.identity(points, shared(config))
    writer.check(config.output_root)
    if job_minutes is not None:
        _check_minutes(points, job_minutes)
    if config.dry_run:
        outlook = _outlook(points, identity)
        show_plan(outlook)
        return Ended(0, outlook=outlook)
    show_warnings(turns.others(points))
    with one_writer(points, identity) as place:
        return _run(points, place, launch, store)


def _check_minutes(points: list[Planned], allowed: float) -> None:
    """A repeat is one job. What nobody can tell is not held against it."""
    minutes = estimate.minutes(points)
    for repeat in {each.repeat for each in points}:
        told = [m for each, m in zip(points, minutes, strict=True) if each.repeat == repeat]
        longest = sum(filter(None, told))
        if longest > allowed:
            problem = f"a job is a whole repeat, and repeat {repeat + 1} takes {longest:.0f} min"
            remedy = f"hydra.launcher.timeout_min={math.ceil(1.5 * longest)}, or fewer points"
            raise UserError("hydra.launcher.timeout_min", allowed, problem, remedy=remedy)


def _outlook(points: list[Planned], identity: str) -> Outlook:
    """What running them would come to."""
    folder = resume.find(points, identity)
    todo = points
    if folder:
        resume.adopt(points, files.read_sweep(folder))
        todo = resume.missing(points, folder)
    untimed = estimate.untimed(todo)
    minutes = dict(zip(todo, estimate.minutes(todo), strict=True))
    return Outlook(
        list(points[0].values),
        [
            Awaited(
                each.name,
                [value or "any" for value in each.values.values()],
                minutes.get(each),
                done=each not in minutes,
            )
            for each in points
        ],
        folder.name if folder else "",
        untimed,
        {ms: estimate.total(todo, ms / 1e3) for ms in SUPPOSED_MS} if untimed else {},
    )


def _run(points: list[Planned], place: Place, launch: Launch, store: tracking.Store) -> Ended:
    folder = place.folder
    with writing(points[0].config.output_root):
        todo = _begin(points, place)
        sources.keep(folder)
    jobs: list[str] = []
    interrupted, trouble = False, []
    try:
        if todo:
            if store:
                if problem := store.reach():
                    show_warnings([f"{problem}; {_later(folder)}"])
                store.tell(folder)
            trials = [each.trial for each in todo]
            with (
                _unsaid(console.only_end),
                server(points[0].config, trials, folder) as address,
            ):
                minutes = dict(zip(todo, estimate.minutes(todo), strict=True))
                jobs = agenda.write(folder, points, minutes, address)
                launch(folder, jobs, len(devices(points[0].config)))
    except KeyboardInterrupt:
        interrupted = True
    except OSError as error:  # a run's folder could not even be made
        trouble.append(f"the sweep ended early: {said(error, folder)}")
    except Exception as error:  # of any launcher: what ran is told by the runs' folders
        trouble.append(f"the sweep ended early: {reason(error)}")
    agenda.clear(folder, jobs)
    tracking.forget(folder)
    for each in points:
        if each not in todo:
            derive(folder / each.folder)
    found = _collect(points, folder, interrupted or bool(trouble))
    try:
        resume.write(points, todo, found, folder, place.identity)
    except OSError as error:  # what was written before the first run stays
        trouble.append(f"{files.SWEEP} is not up to date: {said(error, folder)}")
    if len(points) == 1 and not todo:  # as it did when it ran
        show_run(found[points[0]])
    trouble += _report(points, found, folder)
    for line in trouble:
        console.print(line, soft_wrap=True)
    console.print(f"results: {folder}", soft_wrap=True)
    logged = _log(store, folder)
    if interrupted:
        left = sum(1 for each in points if each not in found or not found[each].as_expected)
        console.print(
            f"interrupted: what was measured is kept, {len(points) - left} of {len(points)} runs "
            f"are done; to run the rest: {_again()}",
            soft_wrap=True,
        )
        return Ended(130, folder)
    if trouble and len(found) < len(points):
        left = len(points) - len(found)
        console.print(f"{left} of {len(points)} runs have no result; to run them: {_again()}")
    good = all(summary.as_expected for summary in found.values())
    return Ended(0 if good and logged and not trouble and not console.lost else 1, folder)


def _begin(points: list[Planned], place: Place) -> list[Planned]:
    """What is to be run, with a place for it. Raises OSError."""
    if place.is_new:
        return points
    folder, todo = place.folder, resume.missing(points, place.folder)
    there = [each for each in points if each not in todo]
    line = f"resuming {folder.name}: {len(there)} of {len(points)} runs are there already"
    console.print(line, soft_wrap=True)
    if not todo:
        console.print("  nothing is left to run; sweep.resume=false runs all anew")
    resume.write(points, todo, _collect(there, folder), folder, place.identity)
    return todo


@contextmanager
def _unsaid(really: bool) -> Iterator[None]:
    """Nothing of it is shown."""
    console.quiet = really
    try:
        yield
    finally:
        console.quiet = False


def _again() -> str:
    """The command as it was typed, but that it goes on in the folder that it has made."""
    left_out = (*ADDED, "sweep.resume=false")
    return shlex.join(
        ["python", "-m", "runner", *(word for word in sys.argv[1:] if word not in left_out)]
    )


def _collect(
    points: list[Planned], folder: Path, cut_short: bool = False
) -> dict[Planned, Summary]:
    """What every started point left in its folder. One that left nothing has failed, but for those
    that the end of a sweep that was cut short kept from starting."""
    found = {}
    for point in points:
        place = folder / point.folder
        if cut_short and files.read_summary(place) is None:
            continue  # as it waited for the device
        if place.exists():
            found[point] = read_result(place, Entry(folder=place.name, arm=point.arm))
        else:
            found[point] = Summary.failed(point.name, f"its folder is gone: {place}")
    return found


def _report(points: list[Planned], found: Mapping[Planned, Summary], folder: Path) -> list[str]:
    """Show the table over the swept values, conclusions and failures; returns what could not be
    derived of the runs."""
    if console.verbose:
        _show_all(folder)
    trouble = conclude(Judgement.of(points[0].config), folder)
    for summary in found.values():
        if summary.status is Status.FAILED and not summary.as_expected:
            console.print(f"FAILED {summary.name}: {summary.reason}", soft_wrap=True)
    return trouble + [
        f"{point.name}: {what}: {why} (the measurement is complete)"
        for point in found
        for what, why in problems_of(folder / point.folder).items()
    ]


def _show_all(folder: Path) -> None:
    """The table of what the folder has, also of runs that other commands made. What cannot be read
    is said by whoever concludes."""
    with suppress(UserError):
        sweep = sweep_in(folder)
        swept = list(sweep.record.swept)
        if len(sweep) > 1:
            values = [[run.setting(key) or "any" for key in swept] for run in sweep]
            show_sweep(swept, list(zip(values, (run.summary for run in sweep), strict=True)))


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
