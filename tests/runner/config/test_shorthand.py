"""What people write for numbers and groups, on the command line and in files."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from runner.config.command_line import parsed
from runner.config.files import FileConfigSource
from runner.config.schema import Config, walk
from runner.config.shorthand import UNITS, written_out


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [
        ("xsched.timeslice_us", "5ms", 5000),
        ("xsched.timeslice_us", "250us", 250),
        ("xsched.timeslice_us", "250 µs", 250),
        ("limit_s", "10s", 10),
        ("limit_s", "1.5 min", 90),
        ("limit_s", "2h", 7200),
        ("task_set.lead_in_s", "200ms", 0.2),
        ("task_set.tasks.a.deadline_us", "20ms", 20_000),
        ("task_set.tasks.v1.2.arrival.load", "30%", "30%"),  # no key that can be told
        ("task_set.tasks.a.arrival.load", "30%", 0.3),
        ("arrival.load", "12.5 %", 0.125),
        ("task_set.tasks.a.utilization", "75%", 75),
        ("arrival.rate_rps", "20/s", 20),
        ("arrival.rate_rps", "20rps", 20),
        ("limit_s", "1e2ms", 0.1),
        ("limit_s", "10kg", "10kg"),
        ("limit_s", "10m", "10m"),
        ("limit_s", "ten s", "ten s"),
        ("seed", "5ms", "5ms"),
        ("xsched.threshold", "5%", "5%"),
        ("task_set.name", "5ms", "5ms"),
        ("nope", "5ms", "5ms"),
    ],
)
def test_a_quantity_is_taken_in_the_units_that_its_key_can_have(
    key: str, text: str, number: Any
) -> None:
    assert written_out(key.split("."), text) == number


def test_numbers_stay_as_they_are() -> None:
    assert written_out(["limit_s"], 10) == 10
    assert written_out(["limit_s"], None) is None


def test_every_unit_of_time_and_share_is_one_of_the_schemas() -> None:
    units = {spec.metadata["unit"] for _, spec in walk(Config)}
    assert units & set(UNITS) == {"µs", "s", "share", "percent", "1/s"}


def test_a_tasks_model_and_arrivals_can_be_named_alone() -> None:
    tasks = {"v1.2": {"model": "bert_mini", "arrival": "poisson", "requests": 5}}
    assert written_out(["task_set"], {"tasks": tasks, "name": "x"}) == {
        "name": "x",
        "tasks": {
            "v1.2": {
                "model": {"name": "bert_mini"},
                "arrival": {"process": "poisson"},
                "requests": 5,
            }
        },
    }
    assert written_out(["model"], "bert_mini") == "bert_mini", "a choice is Hydra's"


@pytest.mark.parametrize(
    ("argument", "plain"),
    [
        ("limit_s=10s", "limit_s=10"),
        ("limit_s=10s,1min", "limit_s=10,60"),
        ("limit_s=choice(10s,60)", "limit_s=10,60"),
        ("+task_set.tasks.a.arrival.load='30 %'", "+task_set.tasks.a.arrival.load=0.3"),
        ("task_set.tasks.a.model=gpt2", "task_set.tasks.a.model.name=gpt2"),
        (
            "task_set.tasks.a.arrival=poisson,closed",
            "task_set.tasks.a.arrival.process=poisson,closed",
        ),
        ("+task_set.tasks.a={model: gpt2}", "+task_set.tasks.a={model:{name:gpt2}}"),
        ("task_set.tasks.a.model={name: gpt2}", "task_set.tasks.a.model={name: gpt2}"),
        ("xsched.threshold=range(1,4)", "xsched.threshold=range(1,4)"),
        ("model=gpt2", "model=gpt2"),
        ("~task_set.tasks.a", "~task_set.tasks.a"),
        ("tracking.uri='sqlite:///5s'", "tracking.uri='sqlite:///5s'"),
    ],
)
def test_arguments_are_written_out(argument: str, plain: str) -> None:
    (override,) = parsed([argument])
    assert override.input_line == plain


def test_files_are_written_out_and_what_they_said_is_kept(tmp_path: Path) -> None:
    said = "name: x\nlead_in_s: 200ms\ntasks: {a: {model: bert_mini, arrival: closed}}\n"
    (tmp_path / "task_set").mkdir()
    (tmp_path / "task_set" / "x.yaml").write_text(said)
    FileConfigSource.used.clear()
    loaded = FileConfigSource("mine", str(tmp_path)).load_config("task_set/x").config
    assert OmegaConf.to_container(loaded) == {
        "name": "x",
        "lead_in_s": 0.2,
        "tasks": {"a": {"model": {"name": "bert_mini"}, "arrival": {"process": "closed"}}},
    }
    assert FileConfigSource.used == {"task_set/x.yaml": said.encode()}


def test_values_with_units_stay_shuffled_if_they_were() -> None:
    (plain,) = parsed(["xsched.timeslice_us=shuffle(1ms,2ms,3ms)"])
    assert plain.input_line == "xsched.timeslice_us=shuffle(1000,2000,3000)"
    (plain,) = parsed(["xsched.timeslice_us=1ms,2ms"])
    assert plain.input_line == "xsched.timeslice_us=1000,2000"
