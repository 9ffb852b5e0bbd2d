import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from runner.config import (
    ARMS,
    ArrivalOverride,
    Config,
    LaunchOverride,
    Level,
    ModelOverride,
    TaskConfig,
    all_keys,
    walk,
)
from runner.errors import UserError, nearest
from runner.resolve import resolve
from runner.spec import TrialSpec


def config(**tasks: TaskConfig) -> Config:
    made = Config()
    made.task_set.tasks = tasks or {"only": TaskConfig()}
    return made


def test_a_task_inherits_and_overrides() -> None:
    made = config(a=TaskConfig(), b=TaskConfig(xsched=LaunchOverride(threshold=32)))
    made.xsched.level = Level.interrupt
    a, b = resolve(made).tasks
    assert (a.threshold, a.batch_size, a.level.name) == (8, 4, "interrupt")
    assert (b.threshold, b.batch_size, b.level.name) == (32, 4, "interrupt")


def test_naming_another_model_resets_the_size_to_that_models_default() -> None:
    made = config(a=TaskConfig(model=ModelOverride(name="resnet18")), b=TaskConfig())
    made.model.size = 64
    a, b = resolve(made).tasks
    assert (a.model.size, b.model.size) == (224, 64)


def test_a_load_counts_for_open_loops_only() -> None:
    made = config(a=TaskConfig(arrival=ArrivalOverride(load=0.5)))
    assert resolve(made).tasks[0].load is None
    made.arrival.process = "jitter"
    assert resolve(made).tasks[0].load == 0.5


def wrong(change: str, value: object) -> UserError:
    made = OmegaConf.structured(config())
    OmegaConf.update(made, change, value)
    with pytest.raises(UserError) as error:
        resolve(OmegaConf.to_object(made))  # type: ignore[arg-type]
    return error.value


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("xsched.threshold", 0, "allowed: 1 to 4096"),
        ("xsched.threshold", -1, "allowed: 1 to 4096"),
        ("xsched.batch_size", 9, "must not exceed the threshold (8)"),
        ("xsched.policy", "hfp", "did you mean: hpf"),
        ("task_set.tasks.only.priority", 256, "allowed: -255 to 255"),
        ("task_set.tasks.only.requests", -3, "allowed: 1 or more"),
        ("task_set.tasks.only.xsched.batch_size", 16, "task_set.tasks.only.xsched.batch_size=16"),
        ("task_set.requests", 0, "allowed: 1 to"),
        ("model.name", "bert_bas", "did you mean: bert_base"),
        ("model.size", 513, "allowed: 1 to 512"),
        ("model.work_us", 5, "work of their own"),
        ("arrival.load", 0.0, "allowed: 0.001 to 1.0"),
        ("arrival.load", float("nan"), "out of range"),
        ("arm.name", "natve", "did you mean: native"),
        ("xsched.policy", "up", "utilization=null"),
        ("seed", -1, "seed=-1"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(key: str, value: object, says: str) -> None:
    assert says in str(wrong(key, value))


def test_no_tasks_and_too_much_utilization_are_refused() -> None:
    with pytest.raises(UserError, match="at least one task"):
        resolve(Config())
    made = config(a=TaskConfig(utilization=60), b=TaskConfig(utilization=50))
    made.xsched.policy = "up"
    with pytest.raises(UserError, match="=110: the shares exceed the device"):
        resolve(made)


def test_a_trial_survives_the_way_to_its_process() -> None:
    trial = resolve(config(a=TaskConfig(priority=2, utilization=3)))
    assert TrialSpec.from_dict(trial.as_dict()) == trial


def test_groups_of_the_arms() -> None:
    tasks = {name: TaskConfig(priority=p) for name, p in (("a", 1), ("b", 3), ("c", 3))}
    made = config(**tasks)
    groups = {}
    for arm in ARMS:
        made.arm.name = arm
        groups[arm] = resolve(made).groups
    assert groups["solo"] == [[0], [1], [2]]
    assert groups["urgent_only"] == [[1, 2]]
    assert all(groups[arm] == [[0, 1, 2]] for arm in set(ARMS) - {"solo", "urgent_only"})


@given(
    st.permutations([spec.name for spec in dataclasses.fields(Config)]),
    st.booleans(),
    st.booleans(),
)
def test_the_hash_ignores_spelled_defaults_and_places(
    order: list[str], spelled: bool, elsewhere: bool
) -> None:
    plain = config(**{name: TaskConfig(priority=ord(name)) for name in "abc"})
    other = config(**{name: TaskConfig(priority=ord(name)) for name in "abc"})
    if spelled:
        other.task_set.tasks["a"].xsched.threshold = 8
        other.model.size = 128
    if elsewhere:
        other.output_root, other.tracking.backend = "/elsewhere", "none"
    assert resolve(plain).config_hash == resolve(other).config_hash
    values = dataclasses.asdict(other)
    shuffled = OmegaConf.create({key: values[key] for key in order})
    merged = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), shuffled))
    assert resolve(merged).config_hash == resolve(plain).config_hash  # type: ignore[arg-type]


def test_the_hash_changes_with_what_is_measured() -> None:
    made = config()
    before = resolve(made).config_hash
    made.xsched.threshold = 16
    assert resolve(made).config_hash != before


def test_every_key_is_documented() -> None:
    for path, spec in walk(Config):
        assert spec.metadata["doc"], f"{path} has no description"
    assert "task_set.tasks.<name>.model.name" in list(all_keys())


def test_the_nearest_spelling() -> None:
    assert nearest("blok", ["block", "deactivate"]) == "block"
    assert nearest("xyz", ["block", "deactivate"]) is None
