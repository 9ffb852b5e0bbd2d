import dataclasses
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from runner.config.arms import Arm
from runner.config.errors import UserError, nearest
from runner.config.resolve import resolve
from runner.config.schema import (
    ArrivalConfig,
    ArrivalOverride,
    Config,
    LaunchOverride,
    ModelConfig,
    ModelOverride,
    TaskConfig,
    all_keys,
    walk,
)
from runner.config.spec import Arrival, TrialSpec
from xsched_bindings.types import PreemptLevel


def config(**tasks: TaskConfig) -> Config:
    made = Config()
    made.task_set.tasks = tasks or {"only": TaskConfig()}
    return made


def sent(trial: TrialSpec) -> TrialSpec:
    """What the trial's process gets."""
    return cast(TrialSpec, pickle.loads(pickle.dumps(trial)))


def test_a_task_inherits_and_overrides() -> None:
    made = config(a=TaskConfig(), b=TaskConfig(xsched=LaunchOverride(threshold=32)))
    made.xsched.level = PreemptLevel.interrupt
    a, b = resolve(made).tasks
    assert (a.threshold, a.batch_size, a.level.name) == (8, 4, "interrupt")
    assert (b.threshold, b.batch_size, b.level.name) == (32, 4, "interrupt")


def test_naming_another_model_resets_the_size_to_that_models_default() -> None:
    made = config(a=TaskConfig(model=ModelOverride(name="resnet18")), b=TaskConfig())
    made.model.size = 64
    a, b = resolve(made).tasks
    assert (a.model.size, b.model.size) == (224, 64)


def test_graphs_are_a_gpus_and_change_no_other_measurement() -> None:
    made = config(a=TaskConfig(), b=TaskConfig(model=ModelOverride(graphs=26)))
    plain = resolve(made)
    assert [task.model.graphs for task in plain.tasks] == [0, 0], "host has none"
    made.model.graphs = 13
    assert resolve(made).config_hash == plain.config_hash
    made.platform.name = "cuda"
    as_graphs = resolve(made)
    assert [task.model.graphs for task in as_graphs.tasks] == [13, 26]
    assert {task.model.operators for task in as_graphs.tasks} == {
        replace(task.model, graphs=0) for task in as_graphs.tasks
    }
    made.model.graphs = 0
    assert resolve(made).config_hash != as_graphs.config_hash


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (ModelOverride(name="synthetic", graphs=4), r"task_set\.tasks\.a\.model\.graphs=4"),
        (ModelOverride(name="synthetic"), r"^model\.graphs=13: synthetic is made of bare commands"),
    ],
)
def test_bare_commands_are_no_graphs(own: ModelOverride, says: str) -> None:
    made = config(a=TaskConfig(model=own))
    made.model.graphs = 13
    with pytest.raises(UserError, match=says):
        resolve(made)


def test_requests_in_flight_are_a_closed_loops() -> None:
    made = config(a=TaskConfig(), b=TaskConfig(arrival=ArrivalOverride("jitter", 0.5)))
    plain = resolve(made)
    made.arrival.in_flight = 4
    found = resolve(made)
    assert [task.arrival.in_flight for task in found.tasks] == [4, 1]
    assert found.config_hash != plain.config_hash
    made.task_set.tasks["a"].arrival.in_flight = 1
    assert resolve(made).config_hash == plain.config_hash


def test_a_load_counts_for_open_loops_only() -> None:
    made = config(a=TaskConfig(arrival=ArrivalOverride(load=0.5)))
    assert resolve(made).tasks[0].arrival == Arrival("closed")
    assert resolve(made).tasks[0].closed
    made.arrival.process = "jitter"
    assert resolve(made).tasks[0].arrival == Arrival("jitter", load=0.5)
    assert not resolve(made).tasks[0].closed


def test_an_absolute_rate_is_in_place_of_the_load() -> None:
    made = config()
    made.arrival = ArrivalConfig("poisson", load=0.5, rate_rps=20.0)
    assert resolve(made).tasks[0].arrival == Arrival("poisson", rate_rps=20.0)


@pytest.mark.parametrize(
    ("own", "gives"),
    [
        (ArrivalOverride(), Arrival("gamma", rate_rps=20.0, cv=3.0)),
        (ArrivalOverride(rate_rps=5.0), Arrival("gamma", rate_rps=5.0, cv=3.0)),
        (ArrivalOverride(load=0.5), Arrival("gamma", load=0.5, cv=3.0)),
        (ArrivalOverride("closed"), Arrival("closed")),
        (ArrivalOverride("burst"), Arrival("burst", rate_rps=20.0, burst_size=4)),
        (ArrivalOverride("lognormal", sigma=2.0), Arrival("lognormal", rate_rps=20.0, sigma=2.0)),
        (ArrivalOverride("jitter", 0.3), Arrival("jitter", load=0.3)),
    ],
)
def test_what_a_task_says_itself_goes_before_what_it_inherits(
    own: ArrivalOverride, gives: Arrival
) -> None:
    made = config(a=TaskConfig(arrival=own))
    made.arrival = ArrivalConfig("gamma", rate_rps=20.0, cv=3.0)
    assert resolve(made).tasks[0].arrival == gives


def traced(file: Path, content: str, lead_in_s: float = 0.0, **changes: Any) -> Config:
    """Two tasks of three requests, one by this trace, one in a closed loop."""
    file.write_text(content)
    made = config(
        a=TaskConfig(arrival=ArrivalOverride("trace", trace=str(file))),
        b=TaskConfig(arrival=ArrivalOverride("closed")),
    )
    made.task_set.requests, made.task_set.lead_in_s = 3, lead_in_s
    return dataclasses.replace(made, **changes)


def test_a_trace_is_its_content_and_not_its_path(tmp_path: Path) -> None:
    first = resolve(traced(tmp_path / "1", "0.5\n1\n1.5\n2\n"))
    same = resolve(traced(tmp_path / "2", "# the same\n0.5\n1.0\n1.5\n2.0"))
    other = resolve(traced(tmp_path / "3", "0.5\n1\n1.5\n3\n"))
    assert first.tasks[1].closed
    assert (first == same, first.config_hash == same.config_hash) == (True, True)
    assert first.config_hash != other.config_hash
    assert sent(first) == first


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ".trace={}: 0 arrivals after the lead-in of 0 s, and the task is to complete 3"),
        ("1\n2\n", ".trace={}: 2 arrivals after the lead-in of 0 s, and the task is to complete 3"),
        ("1\nx\n3\n", ".trace={}: line 2 is no timestamp: x"),
        ("1\n3\n2\n", ".trace={}: line 3 goes back in time"),
        ("1700000000\n1700000001\n1700000002\n", "the window ends at limit_s=900"),
        ("1700000000\n1700000001\n1700000002\n", "subtract the first"),
    ],
)
def test_a_trace_that_cannot_serve_is_refused(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "trace"
    with pytest.raises(UserError) as error:
        resolve(traced(file, content))
    assert "task_set.tasks.a.arrival.trace=" in str(error.value)
    assert says.format(file) in str(error.value)


def test_a_trace_may_end_with_the_last_request_in_the_window(tmp_path: Path) -> None:
    made = traced(tmp_path / "trace", "1\n2\n3\n99\n", limit_s=3.0)
    assert resolve(made).tasks[0].arrival.process == "trace"


def test_a_trace_serves_by_what_arrives_after_the_lead_in(tmp_path: Path) -> None:
    file, content = tmp_path / "trace", "0.5\n1.4\n1.5\n2\n4.5\n"
    assert resolve(traced(file, content, lead_in_s=1.5, limit_s=3.0)).lead_in_ns == 1.5e9
    with pytest.raises(UserError, match=r": 2 arrivals after the lead-in of 1\.6 s, and the task"):
        resolve(traced(file, content, lead_in_s=1.6))
    with pytest.raises(UserError, match=r"request 3 arrives 3 s after the lead-in, and the window"):
        resolve(traced(file, content, lead_in_s=1.5, limit_s=2.9))


def test_a_trace_that_is_missing_is_named_where_it_was_asked_for(tmp_path: Path) -> None:
    assert "arrival.trace=null: process trace needs a file" in str(
        wrong("arrival.process", "trace")
    )
    own = wrong("task_set.tasks.only.arrival.process", "trace")
    assert "task_set.tasks.only.arrival.trace=null" in str(own)
    made = config()
    made.arrival = ArrivalConfig("trace", trace=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^arrival\.trace=.*none: cannot be read: No such file"):
        resolve(made)


@pytest.mark.parametrize(
    ("shared", "own", "says"),
    [
        (
            ArrivalConfig(rate_rps=5.0),
            ArrivalOverride(),
            "arrival.rate_rps=5.0: a closed loop has no rate",
        ),
        (
            ArrivalConfig(),
            ArrivalOverride(rate_rps=5.0),
            "task_set.tasks.a.arrival.rate_rps=5.0: a closed loop has no rate",
        ),
        (
            ArrivalConfig("jitter"),
            ArrivalOverride("closed", rate_rps=5.0),
            "task_set.tasks.a.arrival.rate_rps=5.0: a closed loop has no rate",
        ),
        (
            ArrivalConfig("jitter"),
            ArrivalOverride("trace", rate_rps=5.0, trace="x"),
            "task_set.tasks.a.arrival.rate_rps=5.0: a trace has the rate of its timestamps",
        ),
        (
            ArrivalConfig("jitter"),
            ArrivalOverride(load=0.2, rate_rps=5.0),
            "task_set.tasks.a.arrival.rate_rps=5.0: the task has a rate already, load=0.2",
        ),
    ],
)
def test_a_rate_that_contradicts_is_refused(
    shared: ArrivalConfig, own: ArrivalOverride, says: str
) -> None:
    made = config(a=TaskConfig(arrival=own))
    made.arrival = shared
    with pytest.raises(UserError) as error:
        resolve(made)
    assert str(error.value).startswith(says)
    assert "\n  leave it out" in str(error.value) or "\n  set one" in str(error.value)


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
        ("arrival.load", 0.0, "allowed: 0.001 to 10.0"),
        ("arrival.load", float("nan"), "out of range"),
        ("arrival.process", "poison", "did you mean: poisson"),
        ("arrival.rate_rps", 0.0, "allowed: 0.001 to 100000"),
        ("arrival.rate_rps", -2.0, "arrival.rate_rps=-2.0: out of range"),
        ("arrival.sigma", -0.1, "allowed: 0 to 4"),
        ("arrival.cv", 0.0, "allowed: 0.01 to 10"),
        ("arrival.burst_size", 0, "allowed: 1 to 10000"),
        ("task_set.tasks.only.arrival.sigma", -1.0, "task_set.tasks.only.arrival.sigma=-1.0"),
        ("task_set.tasks.only.arrival.cv", -1.0, "allowed: 0.01 to 10"),
        ("task_set.tasks.only.arrival.burst_size", -4, "allowed: 1 to 10000"),
        ("task_set.tasks.only.arrival.rate_rps", 0.0, "allowed: 0.001 to 100000"),
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
    never = config(a=TaskConfig(utilization=60), b=TaskConfig(utilization=0))
    never.xsched.policy = "up"
    with pytest.raises(UserError, match="utilization=0: policy up never gives such a task"):
        resolve(never)
    made = config(a=TaskConfig(utilization=60), b=TaskConfig(utilization=50))
    made.xsched.policy = "up"
    with pytest.raises(UserError, match="=110: the shares exceed the device"):
        resolve(made)


def test_a_trial_survives_the_way_to_its_process() -> None:
    trial = resolve(config(a=TaskConfig(priority=2, utilization=3)))
    assert sent(trial) == trial


EVERYBODY_AT_ONCE = set(Arm) - {Arm.solo, Arm.urgent_only}


def test_groups_of_the_arms() -> None:
    tasks = {name: TaskConfig(priority=p) for name, p in (("a", 1), ("b", 3), ("c", 3))}
    tasks["a"].utilization = 30
    made = config(**tasks)
    groups = {}
    for arm in Arm:
        made.arm.name = arm
        groups[arm] = resolve(made).groups
    assert groups["solo"] == [[0], [1], [2]]
    assert groups["urgent_only"] == [[1, 2]]
    assert all(groups[arm] == [[0, 1, 2]] for arm in EVERYBODY_AT_ONCE)


@settings(max_examples=40)  # of 50 ms each
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


def test_the_hash_covers_hardware_queues_where_they_have_an_effect() -> None:
    def hash_of(platform: str, queues: int) -> str:
        made = config()
        made.platform.name, made.platform.hardware_queues = platform, queues
        return resolve(made).config_hash

    assert hash_of("hip", 4) != hash_of("hip", 8)
    assert hash_of("cuda", 4) == hash_of("cuda", 8)


def test_the_hash_covers_the_companion_where_there_is_one() -> None:
    def hash_of(platform: str, companion: bool) -> str:
        made = config()
        made.platform.name, made.xsched.companion = platform, companion
        return resolve(made).config_hash

    assert hash_of("hip", True) != hash_of("hip", False)
    assert hash_of("cuda", True) == hash_of("cuda", False)


def test_the_hash_covers_what_the_arrivals_are_made_of_and_nothing_else() -> None:
    def hash_of(*arguments: object, **keys: object) -> str:
        made = config()
        made.arrival = ArrivalConfig(*arguments, **keys)  # type: ignore[arg-type]
        return resolve(made).config_hash

    assert hash_of("gamma", cv=2.0) != hash_of("gamma", cv=3.0)
    assert hash_of("lognormal", sigma=1.0) != hash_of("lognormal", sigma=2.0)
    assert hash_of("burst", burst_size=2) != hash_of("burst", burst_size=4)
    assert hash_of("poisson", 0.1) != hash_of("poisson", 0.2)
    assert hash_of("poisson", 0.1, 5.0) == hash_of("poisson", 0.2, 5.0) != hash_of("poisson", 0.1)
    assert hash_of("poisson", cv=2.0, sigma=1.0) == hash_of("poisson", cv=3.0, sigma=2.0)
    assert hash_of("closed", 0.1) == hash_of("closed", 0.2)


def test_every_key_is_documented() -> None:
    for path, spec in walk(Config):
        assert spec.metadata["doc"], f"{path} has no description"
    assert "task_set.tasks.<name>.model.name" in list(all_keys())


def test_the_nearest_spelling() -> None:
    assert nearest("blok", ["block", "deactivate"]) == "block"
    assert nearest("xyz", ["block", "deactivate"]) is None


def weighted(file: Path, content: bytes, **own: ModelOverride) -> Config:
    """Tasks with weights of this content, as far as anybody looks before they are loaded."""
    file.write_bytes(content)
    made = config(**{name: TaskConfig(model=model) for name, model in own.items()})
    made.model.pretrained = str(file)
    return made


def test_weights_are_their_content_and_not_their_path(tmp_path: Path) -> None:
    first = resolve(weighted(tmp_path / "1.pt", b"same"))
    same = resolve(weighted(tmp_path / "2.bin", b"same"))
    other = resolve(weighted(tmp_path / "3.pt", b"other"))
    assert (first == same, first.config_hash == same.config_hash) == (True, True)
    assert len({first.config_hash, other.config_hash, resolve(config()).config_hash}) == 3
    assert sent(first) == first
    assert sent(first).tasks[0].model.pretrained == str(tmp_path / "1.pt")


def test_random_weights_keep_the_hashes_that_were_recorded_before_there_were_others() -> None:
    made = config()
    made.task_set.lead_in_s = 0
    assert resolve(made).config_hash == "73c2bbd1c58f"
    made.model = ModelConfig(name="gpt2", dtype="float16", seed=3)
    made.arm.name = "native"
    assert resolve(made).config_hash == "3f17cdadb36d"


def test_weights_are_inherited_by_tasks_of_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "own.pt").write_bytes(b"own")
    made = weighted(
        tmp_path / "w.pt",
        b"w",
        same=ModelOverride(size=64),
        another=ModelOverride(name="resnet18"),
        bare=ModelOverride(name="synthetic"),
        own=ModelOverride(pretrained=str(tmp_path / "own.pt")),
    )
    names = [Path(task.model.pretrained).name for task in resolve(made).tasks]
    assert names == ["w.pt", "", "", "own.pt"]


def test_weights_are_not_given_to_the_model_that_a_gpu_runs_instead(tmp_path: Path) -> None:
    made = weighted(tmp_path / "w.pt", b"w")
    made.model.gpu_name = "bert_large"
    assert resolve(made).tasks[0].model.pretrained
    made.platform.name = "cuda"
    with pytest.raises(UserError, match="these are weights of bert_base, and gpu_name makes it"):
        resolve(made)


@pytest.mark.parametrize(
    "device", ["0", "7", "GPU-16c2b439-0387-cdeb-2c48-c34b61d9a5de", "MIG-1/2/3"]
)
def test_a_gpu_has_a_number_or_a_uuid(device: str) -> None:
    made = config()
    made.platform.device = device
    assert resolve(made)


@pytest.mark.parametrize("device", ["-1", "first", "GPU-", "0,1"])
def test_what_is_no_gpu_is_refused(device: str) -> None:
    made = config()
    made.platform.device = device
    with pytest.raises(UserError, match=f"platform.device={device}: no GPU is called that"):
        resolve(made)
