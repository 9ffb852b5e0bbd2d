"""One point of a sweep: run the trial, keep what it measured, derive the rest, show it. Called by
the launcher, possibly in a process of its own."""

import traceback
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from runner.config.errors import UserError
from runner.config.resolve import as_config, resolve
from runner.config.schema import Config
from runner.platforms.choose import settle, shared
from runner.platforms.contract import PlatformError
from runner.proof.checks import Verdict
from runner.results.console import console
from runner.runs import files, provenance, solo, tracking
from runner.runs.load import run_in
from runner.runs.record import Summary
from runner.runs.summary import summarise
from runner.sweep.agenda import Standing
from runner.sweep.derive import derive, reason
from runner.sweep.display import TrialDisplay, show_run
from runner.sweep.turns import device_lock
from runner.trial import interruption
from runner.trial.run import run_trial
from runner.trial.status import Status


def run(composed: DictConfig) -> None:
    """Run the composed point. Raises KeyboardInterrupt, once everything is kept, if that ended it;
    anything else that goes wrong is a failed run, and the sweep goes on."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    config = as_config(composed)
    if store := tracking.open_store(config):
        store.hear(Path(hydra.sweep.dir))
    problems: dict[str, str] = {}
    try:
        summary, problems = _measure(config, hydra, folder, store)
    except Exception as error:
        summary = _failed(hydra.job.name, folder, error)
    show_run(summary)
    derive(folder, problems)
    _log(store, folder)
    if summary.status is Status.KILLED:
        raise KeyboardInterrupt
    interruption.check()  # it may have come after the end of the window


def _measure(
    config: Config, hydra: HydraConf, folder: Path, store: tracking.Store
) -> tuple[Summary, dict[str, str]]:
    """Run the trial and keep what it measured; from the end of the window on nothing comes before
    that but the solo times, which are those of the repeat's next trial. Returns what was kept, and
    what went wrong beside it."""
    platform = shared(config)
    trial = settle(config, resolve(config), platform)
    models = {task.model for task in trial.tasks}
    fingerprint = platform.fingerprint(trial)
    sweep = Path(hydra.sweep.dir)
    of_repeat = solo.of_repeat(sweep, config.repeat)
    problems: dict[str, str] = {}
    load_before = provenance.load()
    files.write_config(folder, config, trial)
    with ExitStack() as undisturbed:

        def before_window() -> None:
            _prepare(store, sweep)
            undisturbed.enter_context(interruption.deferred())

        with (
            TrialDisplay(trial, Standing(sweep, folder.name, hydra.job.name)) as progress,
            device_lock(platform.lock, config.platform.wait, progress.wait, sweep.name),
        ):
            known = solo.known(of_repeat, fingerprint, models)
            result = run_trial(trial, platform, known, folder, progress, before_window)
            undisturbed.enter_context(interruption.deferred())  # of one that came to no window, too
            for path in (of_repeat, Path(config.output_root) / solo.LATEST):
                try:
                    solo.keep(path, fingerprint, result.solo)
                except Exception as error:  # as of another user's cache
                    problems[str(Path(*path.parts[-2:]))] = reason(error)
        summary = summarise(trial, result, hydra.job.name)
        summary = replace(
            summary,
            as_expected=as_expected(config.outcome, summary),
            sweep=sweep.name,
            folder=str(folder),
        )
        origin = replace(
            provenance.present(platform.provenance()),
            overrides=tuple(hydra.overrides.task),
            load_before=load_before,
            load_after=provenance.load(),
            weights={m.pretrained: m.weights_sha256 for m in models if m.pretrained},
        )
        measured = result.proof, result.requests, result.marks, result.events
        kept = files.keep(folder, summary, *measured, origin)
    return kept, problems


def _failed(name: str, folder: Path, error: Exception) -> Summary:
    """The record of a run that came to no result. A disk that takes not even this leaves none, and
    the sweep says so."""
    reason, understood = str(error), isinstance(error, PlatformError)
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.strerror}: {error.filename or folder}"
    elif not understood:
        reason = f"{type(error).__name__}: {error} (see stderr.log)"
    summary = replace(Summary.failed(name, reason), folder=str(folder))
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


def as_expected(outcome: str, summary: Summary) -> bool:
    """Whether the run ended as it was meant to; a refusal is a run whose proof failed."""
    if outcome == "refusal":
        return summary.status is Status.FAILED and summary.proof is Verdict.FAILED
    return summary.status is Status.FINISHED
