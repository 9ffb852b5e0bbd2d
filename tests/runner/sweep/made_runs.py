"""Sweeps whose runs are over at once, without a process: a launcher that leaves what a run leaves,
with its true configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from runner.config.resolve import resolve
from runner.config.schema import Config
from runner.runs import files
from runner.runs.record import Summary
from runner.sweep import agenda, resume
from runner.sweep.plan import plan
from runner.sweep.run import Ended, run
from runner.trial.status import Status
from tests.runner.run_folders import keep
from tests.runner.sweep.composed import compose

HERE = ("task_set=smoke", "platform=host", "tracking=none")
DERIVED = (files.TRACE, files.LATENCY_CDF, files.TIMELINE)


@dataclass
class Launcher:
    """Remembers what it ran, by folder. until: how many runs before somebody presses Ctrl-C."""

    ran: list[str] = field(default_factory=list)
    until: int | None = None

    def __call__(self, folder: Path, jobs: Sequence[str], at_once: int = 0) -> None:
        for job in jobs:
            for step in agenda.read(folder / job).steps:
                if step.there:
                    continue
                if self.until is not None and len(self.ran) >= self.until:
                    raise KeyboardInterrupt
                self.ran.append(step.folder)
                resume.set_aside([step], folder)
                _leave(folder / step.folder, step.config)


@cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    """Composing takes longest of all."""
    return compose(list(overrides))


def _leave(place: Path, config: Config) -> None:
    trial = resolve(config)
    place.mkdir()
    files.write_config(place, config, trial)
    for name in DERIVED:  # so that nothing is drawn
        (place / name).touch()
    summary = Summary(
        name=place.name,
        status=Status.FINISHED,
        as_expected=True,
        valid=True,
        task_set=trial.task_set,
        arm=trial.arm,
        platform=trial.platform,
        placement=trial.placement,
        config_hash=trial.config_hash,
        folder=str(place),
    )
    keep(place, summary)


def command(
    root: Path, *arguments: str, launcher: Launcher | None = None
) -> tuple[Ended, list[str]]:
    """Run the command; returns its end and what it ran."""
    launch = launcher or Launcher()
    given = [*HERE, *arguments, f"output_root={root}"]
    end = run(plan(given, lambda overrides: composed(tuple(overrides))), launch)
    return end, launch.ran
