"""Hydra's door to `runner.sweep`: every invocation is a sweep of one or more points.

Hydra accepts sweepers from this namespace only. It imports this file at every start, so it imports
nothing of the runner by itself.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


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
        from hydra.core.plugins import Plugins

        self._context = hydra_context
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
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

        def launch(folder: Path, jobs: list[str]) -> None:
            quoted = QuotedString(str(folder), Quote.single).with_quotes()
            with open_dict(self._config):
                self._config.hydra.sweep.dir = str(folder)
            # A job is no more to Hydra than a folder; what is to be run is told by the file in it.
            told = [[f"hydra.sweep.dir={quoted}", f"hydra.sweep.subdir={job}"] for job in jobs]
            self._launcher.launch(told, initial_job_idx=0)

        given = {argument.partition("=")[0].lstrip("+~") for argument in arguments}
        ours = [plan.argument(*each) for each in self._params.items() if each[0] not in given]
        planned = plan.plan([*arguments, *ours], compose)
        # What running takes is imported once nothing is wrong: that takes longer than to find it.
        from runner.sweep import run

        raise run.run(planned, launch)


@dataclass
class TrialSweeperConfig:
    _target_: str = "hydra_plugins.trial_sweeper.TrialSweeper"
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="trials", node=TrialSweeperConfig, provider="runner"
)
