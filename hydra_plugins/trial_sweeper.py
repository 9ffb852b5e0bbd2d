"""Hydra's door to `runner.sweep.run`: every invocation is a sweep of one or more points.

Hydra accepts sweepers from this namespace only. It imports this file at every start, so it imports
nothing of the runner by itself.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class TrialSweeper(Sweeper):
    """Checks all points before the first starts; works with any launcher. params: what the
    configuration sweeps over by itself; the command line goes before it."""

    def __init__(self, params: dict[str, str]) -> None:
        self._params = dict(params)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins

        self._context = hydra_context
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from runner.sweep import run as sweep

        def compose(overrides: list[str]) -> DictConfig:
            return self._context.config_loader.load_sweep_config(self._config, overrides)

        def launch(folder: Path, jobs: list[list[str]]) -> None:
            sweep.set_sweep_folder(self._config, folder)
            self._launcher.launch(jobs, initial_job_idx=0)

        given = {argument.partition("=")[0].lstrip("+~") for argument in arguments}
        own = [f"{key}={value}" for key, value in self._params.items() if key not in given]
        raise sweep.run([*arguments, *own], compose, launch)


@dataclass
class TrialSweeperConfig:
    _target_: str = "hydra_plugins.trial_sweeper.TrialSweeper"
    params: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="trials", node=TrialSweeperConfig, provider="runner"
)
