"""One point of a sweep: run the trial, write its folder, log it, show it. Called by the launcher,
possibly in a process of its own."""

import fcntl
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from runner.config.resolve import as_config, resolve
from runner.platforms.choose import settle, shared
from runner.platforms.contract import PlatformError
from runner.proof.checks import Verdict
from runner.results.console import console
from runner.runs import files, provenance, solo, tracking
from runner.runs.record import Provenance, Summary
from runner.runs.run import read_run
from runner.runs.summary import summarise
from runner.runs.timeline import write_trace
from runner.runs.tracking import Store
from runner.sweep.display import TrialDisplay, show_run
from runner.trial.run import TrialResult, run_trial
from runner.trial.status import Status


def run(composed: DictConfig) -> None:
    """Run the composed point. Raises KeyboardInterrupt, once everything is kept, if that ended it;
    anything else that goes wrong is a failed run, and the sweep goes on."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    try:
        _run(composed, hydra, folder)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, PlatformError):
            reason = f"{type(error).__name__}: {error} (see stderr.log)"
            with (folder / "stderr.log").open("a") as log:
                traceback.print_exc(file=log)
        summary = replace(Summary.failed(hydra.job.name, reason), folder=str(folder))
        files.write_json(folder / files.SUMMARY, summary)
        show_run(summary)


def _run(composed: DictConfig, hydra: HydraConf, folder: Path) -> None:
    config = as_config(composed)
    output_root = Path(config.output_root)
    platform = shared(config)
    trial = settle(config, resolve(config), platform)
    store = tracking.open_store(config)
    models = {task.model for task in trial.tasks}
    known = solo.known(output_root, platform.fingerprint(), models)
    name = hydra.job.name
    load_before = provenance.load()
    files.write_config(folder, config, trial)
    with (
        TrialDisplay(trial, name) as progress,
        device_lock(platform.lock, config.platform.wait, progress.say),
    ):
        result = run_trial(trial, platform, known, folder, progress, partial(prepare, store))
    solo.keep(output_root, platform.fingerprint(), result.solo)
    summary = summarise(trial, result, name)
    summary = replace(
        summary,
        as_expected=as_expected(config.outcome, summary),
        sweep=Path(hydra.sweep.dir).name,
        folder=str(folder),
    )
    origin = replace(
        provenance.present(platform.provenance()),
        overrides=tuple(hydra.overrides.task),
        load_before=load_before,
        load_after=provenance.load(),
        weights={m.pretrained: m.weights_sha256 for m in models if m.pretrained},
    )
    write_folder(folder, summary, result, origin)
    log(store, folder)
    show_run(summary)
    if result.status is Status.KILLED:
        raise KeyboardInterrupt


def as_expected(outcome: str, summary: Summary) -> bool:
    """Whether the run ended as it was meant to; a refusal is a run whose proof failed."""
    if outcome == "refusal":
        return summary.status is Status.FAILED and summary.proof is Verdict.FAILED
    return summary.status is Status.FINISHED


@contextmanager
def device_lock(device: str, wait: bool, say: Any) -> Iterator[None]:
    """One device, one experiment: a second trial on this machine waits for its turn or, without
    `wait`, is refused with `PlatformError`."""
    path = Path(tempfile.gettempdir()) / f"xsched-runner-{device}.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise PlatformError(
                    f"another trial uses this device ({device}), and platform.wait=false"
                ) from None
            say("waiting for another trial on this device")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_folder(folder: Path, summary: Summary, result: TrialResult, origin: Provenance) -> None:
    """Raw data, proof and figures."""
    files.write_json(folder / files.SUMMARY, summary)
    files.write_proof(folder, result.proof)
    files.write_requests(folder / files.REQUESTS, result.requests)
    files.write_events(folder / files.EVENTS, result.events)
    files.write_json(folder / files.PROVENANCE, origin)
    run = read_run(folder)
    write_trace(run)
    if summary.status.has_figures:
        from runner.results.figures.run import latency_cdf
        from runner.results.figures.timelines import timeline

        claim = "" if summary.proof is Verdict.NOT_CLAIMED else f", {summary.proof}"
        title = f"{summary.sweep}: {summary.name} ({summary.arm}{claim})"
        latency_cdf(folder / files.LATENCY_CDF, title, result.requests)
        timeline(run, title)


def prepare(store: Store) -> None:
    """Have MLflow ready before the window. A store that cannot be used is said once, and costs the
    link, not the run."""
    if not store.trouble and (trouble := store.prepare()):
        _not_logged(trouble)


def log(store: Store, folder: Path) -> None:
    """Log the finished folder."""
    if not store.trouble and (problem := store.log(read_run(folder))):
        _not_logged(problem)


def _not_logged(problem: str) -> None:
    console.print(f"  not logged to MLflow: {problem}", markup=False, soft_wrap=True)
