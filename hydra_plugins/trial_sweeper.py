"""Hydra's door to `runner.sweep`: every invocation is a sweep of one or more points.

Hydra accepts sweepers from this namespace only. It imports this file at every start, so it imports
nothing of the runner by itself.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

#: Launchers, by what they are found by: one job after another here, jobs at once here, in a queue;
#: and the ends of those whose jobs stay on this machine.
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
SLURM = ".SlurmLauncher"
#: For joblib's processes, which would say again what `runner.commands.run` keeps quiet.
QUIET = "ignore::UserWarning:multiprocessing.process"
HERE = (".BasicLauncher", ".JoblibLauncher", "submitit_launcher.LocalLauncher")


class TrialSweeper(Sweeper):
    """Checks all points before the first starts; works with any launcher. params: what the
    configuration sweeps over by itself; the command line goes before it."""

    def __init__(self, params: DictConfig) -> None:
        # Of a mapping it is one with texts as keys, which its annotation does not say.
        plain: Any = OmegaConf.to_container(params)
        self._params: dict[str, Any] = plain

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._task, self._config = hydra_context, task_function, config
        self._open()  # what is wrong with the launcher is said before all else

    def _open(self) -> Launcher:
        """The launcher, as it is configured by now. Raises `UserError`."""
        from hydra.core.plugins import Plugins

        from runner.config.errors import UserError

        target = self._config.hydra.launcher._target_
        if target not in Plugins.instance().class_name_to_class:
            from runner.config.files import FileConfigSource
            from runner.config.hydra_errors import not_installed

            if not target.startswith("hydra_plugins."):
                raise UserError("hydra.launcher._target_", target, "this is no launcher of Hydra's")
            package = target.split(".")[1].replace("_", "-")
            name = self._config.hydra.runtime.choices["hydra/launcher"]
            where = FileConfigSource.said.choice("hydra/launcher", name)
            raise not_installed(where, name, package)
        if target == JOBLIB and self._config.hydra.launcher.n_jobs == 0:
            allowed = "how many at once, from 1; -1: as many as there are cores"
            raise UserError("hydra.launcher.n_jobs", 0, "no job would ever run", allowed)
        return Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task, config=self._config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from runner.config.errors import UserError
        from runner.sweep import plan

        def compose(overrides: list[str]) -> DictConfig:
            composed = self._context.config_loader.load_sweep_config(self._config, overrides)
            own = OmegaConf.to_container(composed.hydra.sweeper.params, resolve=True)
            if own != self._params:
                problem = "a file that is swept over brings hydra.sweeper.params of its own"
                raise UserError("", "", problem, remedy="choose one, or sweep over it here")
            return composed

        def launch(folder: Path, jobs: list[str], at_once: int) -> None:
            quoted = QuotedString(str(folder), Quote.single).with_quotes()
            launcher = self._config.hydra.launcher
            basic = launcher._target_ == BASIC and at_once < 2
            with open_dict(self._config):
                self._config.hydra.sweep.dir = str(folder)
                if launcher._target_ == BASIC and not basic:
                    self._config.hydra.launcher = {"_target_": JOBLIB, "n_jobs": at_once}
                elif launcher._target_ == JOBLIB:
                    # It starts as many processes, whatever there is to do.
                    launcher.n_jobs = min(launcher.n_jobs, len(jobs))
                if not basic:
                    os.environ.setdefault("PYTHONWARNINGS", QUIET)
                if launcher._target_.endswith(SLURM):
                    # It warns on standard output whenever it asks a Slurm without accounting.
                    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "CRITICAL")
                    launcher.name = f"{folder.name}-{os.getpid()}"
            # A job is no more to Hydra than a folder; what is to be run is told by the file in it.
            told = [[f"hydra.sweep.dir={quoted}", f"hydra.sweep.subdir={job}"] for job in jobs]
            opened = self._open()
            if basic:
                opened.launch(told, initial_job_idx=0)
                return
            from runner.sweep.follow import Slurm, follow

            queue = Slurm(launcher.name) if launcher._target_.endswith(SLURM) else None
            follow(lambda: opened.launch(told, initial_job_idx=0), folder, jobs, queue)

        given = {argument.partition("=")[0].lstrip("+~") for argument in arguments}
        ours = [plan.argument(*each) for each in self._params.items() if each[0] not in given]
        launcher = self._config.hydra.launcher
        elsewhere = not launcher._target_.endswith(HERE)
        planned = plan.plan([*arguments, *ours], compose, elsewhere)
        # What running takes is imported once nothing is wrong: that takes longer than to find it.
        from runner.sweep import run

        raise run.run(planned, launch, launcher.get("timeout_min"))


@dataclass
class TrialSweeperConfig:
    _target_: str = "hydra_plugins.trial_sweeper.TrialSweeper"
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="trials", node=TrialSweeperConfig, provider="runner"
)
