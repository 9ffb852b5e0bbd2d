"""One job: of each of its runs, run the trial, keep what it measured, derive the rest, show it.
Called by the launcher, possibly in a process of its own or on another machine."""

import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.platforms.choose import choose_placement, settle, shared
from runner.platforms.contract import Platform, PlatformError
from runner.results.console import console
from runner.runs import files, locks, provenance, solo, tracking
from runner.runs.load import run_in
from runner.runs.record import Summary, Where
from runner.runs.store import shown
from runner.runs.summary import summarise
from runner.sweep import agenda, resume
from runner.sweep.agenda import Job, Standing, Step
from runner.sweep.derive import derive, reason
from runner.sweep.display import TrialDisplay, show_run
from runner.sweep.turns import device_lock, on, seat
from runner.trial import interruption
from runner.trial.run import run_trial
from runner.trial.status import Status


def run() -> None:
    """Run the job that Hydra was given the folder of, and leave word of its end. In the command's
    own process it raises KeyboardInterrupt, once everything is kept, if that ended it. Elsewhere it
    always returns: launchers take what a job raises for the end of all jobs, or wait for ever."""
    hydra = HydraConfig.get()
    place, sweep = Path(hydra.runtime.output_dir), Path(hydra.sweep.dir)
    if agenda.ended(place):
        return  # the command was interrupted while this one waited
    job = agenda.read(place)
    elsewhere = job.by != agenda.process()
    if elsewhere:
        interruption.listen()
        console.no_terminal()
    interrupted = True
    try:
        _run(job, sweep)
        interrupted = False
    except KeyboardInterrupt:
        if not elsewhere:
            raise
    finally:
        with interruption.deferred():
            agenda.end(place, interrupted)


def _run(job: Job, sweep: Path) -> None:
    """All that its runs lack; anything that goes wrong is a failed run, and the others go on."""
    here: dict[str, Where] = {}
    todo = job.steps
    try:
        with locks.held(agenda.lock(sweep, job), True, _wait, across=True):
            job = replace(job, steps=_settled(job, seat(job.steps[0].config)))
            here = {step.folder: _where(step, job) for step in job.steps}
            todo = _todo(job, sweep, here)
            _set_aside(todo, sweep)
            of_these = replace(job, steps=todo)
            for step in todo:
                _run_step(of_these, step, sweep / step.folder, here[step.folder])
    except Exception as error:
        for step in todo:
            if not (sweep / step.folder).exists():
                (sweep / step.folder).mkdir()
                show_run(_failed(step.name, sweep / step.folder, error, here.get(step.folder)))


def _wait(owner: locks.Owner) -> None:
    console.print(f"another job is at these runs: {owner}: waiting for its end", soft_wrap=True)


def _settled(job: Job, device: str) -> tuple[Step, ...]:
    """The steps on the device of the job, and with a placement; where the command could not decide
    that, for it has no such device, it is decided here for all of them."""
    configs = [on(step.config, device) for step in job.steps]
    left_open = [each for each in configs if each.platform.placement == "auto"]
    if left_open:
        platform = shared(left_open[0])
        placements = choose_placement([resolve(each) for each in left_open], platform)
        for each, chosen in zip(left_open, placements, strict=True):
            each.platform = replace(each.platform, placement=chosen)
    pairs = zip(job.steps, configs, strict=True)
    return tuple(replace(step, config=config) for step, config in pairs)


def _platform(step: Step, job: Job) -> Platform:
    """What the step runs on, with the server that the command started, if it did."""
    place = step.config.platform
    served = replace(place, server=place.server or job.server)
    return shared(replace(step.config, platform=served))


def _where(step: Step, job: Job) -> Where:
    return provenance.where(_platform(step, job).lock)


def _todo(job: Job, sweep: Path, here: Mapping[str, Where]) -> tuple[Step, ...]:
    """What has no result, and with that what has one of another device: what is compared shares
    one. Another command's job may have been quicker."""
    there = {
        step.folder: resume.result(sweep / step.folder, step.config.outcome) for step in job.steps
    }
    missing = [step for step in job.steps if there[step.folder] is None]
    apart = []
    for step in job.steps if missing else ():
        found = there[step.folder]
        if found and found.where and found.where.place != here[step.folder].place:
            apart.append(step)
            console.print(
                f"{step.name} ran on {found.where}, and what it is compared with runs on "
                f"{here[step.folder]}: it is run again",
                soft_wrap=True,
            )
    return tuple(step for step in job.steps if step in missing or step in apart)


def _set_aside(steps: Sequence[Step], sweep: Path) -> None:
    """Make place for them. What is measured anew has no figures from before in MLflow either."""
    for step in steps:
        store, before = tracking.open_store(step.config), files.read_summary(sweep / step.folder)
        has_figures = before is not None and before.status.has_figures
        if store and has_figures and (why := store.withdraw(sweep / step.folder)):
            _not_logged(f"{step.name} is still there from before: {why}")
    resume.set_aside(steps, sweep)


def _run_step(job: Job, step: Step, folder: Path, where: Where) -> None:
    folder.mkdir()
    if store := tracking.open_store(step.config):
        store.hear(folder.parent)
    problems: dict[str, str] = {}
    try:
        summary, problems = _measure(job, step, folder, where, store)
    except Exception as error:
        summary = _failed(step.name, folder, error, where)
    show_run(summary)
    derive(folder, problems)
    _log(store, folder)
    if summary.status is Status.KILLED:
        raise KeyboardInterrupt
    interruption.check()  # it may have come after the end of the window


def _measure(
    job: Job, step: Step, folder: Path, where: Where, store: tracking.Store
) -> tuple[Summary, dict[str, str]]:
    """Run the trial and keep what it measured; from the end of the window on nothing comes before
    that but the solo times, which are those of the repeat's next trial. Returns what was kept, and
    what went wrong beside it."""
    config, sweep = step.config, folder.parent
    platform = _platform(step, job)
    trial = settle(config, resolve(config), platform)
    models = {task.model for task in trial.tasks}
    repeat, latest = solo.of_repeat(sweep, config.repeat), Path(config.output_root) / solo.LATEST
    keys = {repeat: " ".join(where.place), latest: platform.fingerprint(trial)}
    problems: dict[str, str] = {}
    load_before = provenance.load()
    files.write_config(folder, config, trial)
    with ExitStack() as undisturbed:

        def before_window() -> None:
            _prepare(store, sweep)
            undisturbed.enter_context(interruption.deferred())

        with TrialDisplay(trial, Standing(job, step)) as progress, ExitStack() as alone:
            for name in (platform.lock, *platform.exclusive(trial)):
                wait = config.platform.wait
                alone.enter_context(device_lock(name, wait, progress.wait, sweep.name))
            known = solo.known(repeat, keys[repeat], models)
            result = run_trial(trial, platform, known, folder, progress, before_window)
            undisturbed.enter_context(interruption.deferred())  # of one that came to no window, too
            for path, key in keys.items():
                try:
                    solo.keep(path, key, result.solo)
                except Exception as error:  # as of another user's cache
                    problems[str(Path(*path.parts[-2:]))] = reason(error)
        summary = summarise(trial, result, step.name)
        summary = replace(
            summary,
            as_expected=resume.as_expected(config.outcome, summary),
            sweep=sweep.name,
            folder=str(folder),
            where=where,
        )
        origin = replace(
            provenance.present(platform.provenance()),
            where=where,
            command=job.command,
            overrides=tuple(map(shown, step.overrides)),
            load_before=load_before,
            load_after=provenance.load(),
            weights={m.pretrained: m.weights_sha256 for m in models if m.pretrained},
        )
        measured = result.proof, result.requests, result.marks, result.events
        kept = files.keep(folder, summary, *measured, origin)
    return kept, problems


def _failed(name: str, folder: Path, error: Exception, where: Where | None = None) -> Summary:
    """The record of a run that came to no result. A disk that takes not even this leaves none, and
    the sweep says so."""
    reason, understood = str(error), isinstance(error, PlatformError | UserError)
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {error.filename or folder}"
    elif not understood:
        reason = f"{type(error).__name__}: {error} (see stderr.log)"
    summary = replace(Summary.failed(name, reason), folder=str(folder), where=where)
    with interruption.deferred():
        if not understood:
            with suppress(OSError), (folder / "stderr.log").open("a") as log:
                traceback.print_exception(error, file=log)
        with suppress(OSError):
            if files.read_summary(folder) is None:  # what is recorded never changes afterwards
                files.write_json(folder / files.SUMMARY, summary)
    return summary


def _prepare(store: tracking.Store, sweep: Path) -> None:
    """Have MLflow ready before the window. A store that cannot be used is said once, and costs the
    link, not the run."""
    if store and not store.trouble and (trouble := store.prepare()):
        store.tell(sweep)
        _not_logged(trouble)


def _log(store: tracking.Store, folder: Path) -> None:
    """Log the finished folder; the sweep's end logs what could not be."""
    if store and not store.trouble:
        try:
            problem = store.log(run_in(folder))
        except UserError as error:  # sweep.json was deleted or damaged meanwhile
            problem = str(error)
        if problem:
            _not_logged(problem)


def _not_logged(problem: str) -> None:
    console.print(f"  not logged to MLflow: {problem}", soft_wrap=True)
