"""Configurations as Hydra composes them for a point of a sweep."""

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from runner.config.schema import Config
from tests.conftest import ROOT


def compose(overrides: list[str]) -> DictConfig:
    ConfigStore.instance().store(name="schema", node=Config)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra_compose("config", overrides)
