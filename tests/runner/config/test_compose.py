"""A point that was made of another one is the one that Hydra would compose."""

import pickle
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from runner.config.compose import Configurations
from runner.config.resolve import as_config
from runner.config.schema import Config
from tests.conftest import ROOT

#: Overrides that go together, each with other values that it may have.
VALUES = {
    "seed": ["0", "1", "7"],
    "limit_s": ["1", "2.5", "1e2"],
    "warmup": ["0", "3"],
    "output_root": ["a", "'1'", "true", "'a b'", "'null'", '"it\'s"', "null"],
    "xsched.threshold": ["8", "64", "'16'", "4.0", "true", "null"],
    "xsched.batch_size": ["null", "2", "4"],
    "xsched.level": ["block", "interrupt", "'deactivate'", "1", "blok"],
    "xsched.shim": ["true", "no", "1", "'on'"],
    "model.size": ["null", "5"],
    "model.work_us": ["100", "0"],
    "model.pretrained": ["null", "'a=b,c'", "x/y.pt"],
    "arrival.load": ["0.1", "1", "inf", "nan"],
    "arrival": ["{process:jitter,load:0.3}", "{process:closed,load:1}", "{load:0.3}"],
    "task_set.tasks.urgent": [
        "{priority:3}",
        "{priority:5,arrival:{load:0.3}}",
        "{model:{size:3}}",
    ],
    "task_set.tasks.urgent.priority": ["3", "-1", "'2'", "2.5"],
    "task_set.tasks.urgent.model.name": ["bert_mini", "null"],
    "task_set.tasks.urgent.arrival.load": ["0.5", "null"],
    "+task_set.tasks.urgent.utilization": ["10", "20"],
    "++seed": ["4", "5"],
    "sweep.primary": ["p99_ms/urgent", "null"],
    "sweep": ["{repeats:2}", "{repeats:2,order:given}"],
    "tracking.experiment": ["x", "'${task_set.name}'", "'???'"],
    "task_set.name": ["x", "${model.name}"],
    "arm": ["native", "xsched", "solo"],
    "task_set": ["smoke", "urgent_vs_background"],
    "model": ["bert_mini", "synthetic"],
    "experiment": ["null", "baselines"],
    "expect.0.at_most": ["1", "2"],
    "no.such.key": ["1", "2"],
}
ALWAYS = ["task_set=smoke"]


@pytest.fixture(autouse=True)
def hydra() -> None:
    ConfigStore.instance().store(name="schema", node=Config)


@cache
def composed(*overrides: str) -> bytes:
    """By Hydra, for all who ask for the same: it is what takes the time here. Each gets its own."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return pickle.dumps(hydra_compose("config", [*overrides], return_hydra_config=True))


class Counted:
    """Hydra's compose; `composed`: how often it was asked."""

    composed = 0

    def __call__(self, overrides: list[str]) -> DictConfig:
        self.composed += 1
        made: DictConfig = pickle.loads(composed(*overrides))
        return made


def outcome(make: object, overrides: Sequence[str]) -> str:
    """The configuration, to the types of its values, or what is wrong with it."""
    try:
        return repr(make([*overrides]))  # type: ignore[operator]
    except Exception as error:
        return f"{type(error).__name__}: {error}, {error.__cause__}"


def check(points: Sequence[Sequence[str]], compose: Counted) -> None:
    configurations = Configurations(compose)
    for overrides in points:
        short = outcome(configurations.of, overrides)
        assert short == outcome(lambda each: as_config(compose(each)), overrides), overrides


@pytest.mark.parametrize("key", VALUES)
def test_a_value_alone(key: str) -> None:
    always = [] if key == "task_set" else ALWAYS
    check([[*always, f"{key}={value}"] for value in VALUES[key]], Counted())


@pytest.mark.parametrize("seed", range(10))
def test_several_values_in_any_order(seed: int) -> None:
    """Some of which set the same key."""
    drawn = random.Random(seed)
    keys = drawn.sample(sorted(VALUES), drawn.randint(2, 5))
    points = [[f"{key}={drawn.choice(VALUES[key])}" for key in keys] for _ in range(4)]
    check(points, Counted())


def test_one_task_less() -> None:
    points = [
        ["task_set=urgent_vs_background", "~task_set.tasks.background-1", f"seed={seed}", *more]
        for seed in (1, 2)
        for more in ([], ["task_set.tasks.background-1.priority=3"])
    ]
    check(points, Counted())


def test_hydra_composes_once_for_each_choice_of_groups() -> None:
    compose = Counted()
    configurations = Configurations(compose)
    made = [
        configurations.of(["task_set=smoke", f"arm={arm}", f"xsched.threshold={t}", f"seed={seed}"])
        for arm in ("native", "xsched")
        for t in (8, 16, 32)
        for seed in range(10)
    ]
    assert compose.composed == 2
    assert len({(each.arm.name, each.xsched.threshold, each.seed) for each in made}) == 60
    assert len({id(each.task_set) for each in made}) == 60, "each may be changed"


def test_what_refers_to_a_key_follows_it(tmp_path: Path) -> None:
    own = tmp_path / "task_set"
    own.mkdir()
    text = "name: mine\nrequests: ${model.seed}\ntasks: {a: {priority: 1}}\n"
    (own / "mine.yaml").write_text(text)

    def compose(overrides: list[str]) -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return hydra_compose("config", [f"hydra.searchpath=[{tmp_path}]", *overrides])

    configurations = Configurations(compose)
    made = [configurations.of(["task_set=mine", f"model.seed={seed}"]) for seed in (3, 4, 5)]
    assert [each.task_set.requests for each in made] == [3, 4, 5]


def test_a_key_that_is_a_group_of_the_users_own_is_hydras(tmp_path: Path) -> None:
    (tmp_path / "outcome").mkdir()
    for warmup, choice in enumerate(("result", "refusal")):
        text = f"# @package _global_\nwarmup: {warmup}\n"
        (tmp_path / "outcome" / f"{choice}.yaml").write_text(text)
    (tmp_path / "mine.yaml").write_text("defaults: [config, outcome: result]\n")

    def compose(overrides: list[str]) -> DictConfig:
        where = f"hydra.searchpath=[file://{ROOT / 'conf'}]"
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return hydra_compose("mine", [where, *overrides], return_hydra_config=True)

    configurations = Configurations(compose)
    made = [configurations.of([f"outcome={choice}"]) for choice in ("result", "refusal")]
    assert [(each.outcome, each.warmup) for each in made] == [("result", 0), ("result", 1)]
