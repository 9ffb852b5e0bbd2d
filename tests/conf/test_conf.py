"""Every checked-in configuration composes and is valid; it is found by itself."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from runner.config.arrivals import PROCESSES
from runner.config.errors import UserError
from runner.config.resolve import as_config, resolve
from runner.config.schema import PLATFORMS, Config
from runner.config.spec import Arrival
from runner.results.claims import check_figures
from tests.conftest import ROOT
from xsched_bindings.types import PreemptLevel

CONF = ROOT / "conf"
#: Launchers need packages that may not be there: tests/clusters.
FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml"))


def composed(*overrides: str) -> Config:
    ConfigStore.instance().store(name="schema", node=Config)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return as_config(compose("config", list(overrides)))


@cache
def of_file(path: Path) -> Config:
    """Composed once, for that takes a moment."""
    # Policies but the default one, and shares, need hints that this task set has.
    hinted = path.parent == Path("xsched") or path == Path("arm/mps_share.yaml")
    extra = ["task_set=two_bert"] if hinted else []
    return composed(f"{path.parent}={path.stem}", *extra)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_it_composes_and_is_valid(path: Path) -> None:
    config = of_file(path)
    trial = resolve(config)
    check_figures(config)
    assert trial.tasks
    assert trial.platform in ("auto", *PLATFORMS)


def test_figures_are_checked_of_every_file_that_names_some() -> None:
    """The check above must not have been of nothing."""
    named = [of_file(path) for path in FILES]
    assert any(config.sweep.primary for config in named)
    assert sum(len(config.expect) for config in named) > 10
    config = deepcopy(next(config for config in named if config.expect))
    config.expect[0].metric = "p98_ms/highest"
    with pytest.raises(UserError, match=r"expect\.0\.metric=p98_ms/highest: there is no figure"):
        check_figures(config)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_it_opens_with_the_command_that_runs_it(path: Path) -> None:
    lines = (CONF / path).read_text().splitlines()
    # Hydra reads its own header from the first line alone.
    first = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert first.startswith("# python -m runner ")
    assert f"{path.parent}={path.stem}" in first


def test_six_bert_is_what_the_documents_say() -> None:
    trial = resolve(composed())
    tasks = {task.name: task for task in trial.tasks}
    assert [task.priority for task in trial.tasks] == [3, 3, 2, 2, 1, 1]
    assert [task.arrival.load for task in trial.tasks] == [0.15, 0.15, 0.15, 0.15, None, None]
    assert {task.requests for task in trial.tasks} == {30}
    model = tasks["low-1"].model
    assert (model.name, model.batch_size, model.size) == ("bert_base", 1, 128)
    assert (tasks["low-1"].threshold, tasks["low-1"].batch_size) == (8, 4)


def test_the_negative_controls_are_what_they_say() -> None:
    first = resolve(composed("experiment=phase1_invalid"))
    assert (first.arm, first.arm.applies_priority) == ("default_stream", False)
    config = composed("experiment=phase2_no_shim")
    second = resolve(config)
    assert (second.arm, second.shim, second.platform) == ("xsched", False, "cuda")
    assert config.outcome == "refusal"


def test_a_gpu_gets_batches_that_make_it_the_bottleneck() -> None:
    def batch(*overrides: str) -> int:
        return resolve(composed(*overrides)).tasks[0].model.batch_size

    assert batch("platform=host") == 1
    assert batch("platform=cuda") == batch("platform=hip") == 64
    assert batch("platform=cuda", "model.batch_size=3") == 3
    assert batch("platform=cuda", "model=resnet50") > 64


def test_any_key_of_a_task_can_be_overridden_in_place() -> None:
    config = composed(
        "task_set.tasks.high-1.model.batch_size=4",
        "task_set.tasks.high-1.xsched.level=interrupt",
        "task_set.tasks.low-2.arrival.process=jitter",
        "task_set.tasks.low-2.arrival.load=0.5",
    )
    trial = resolve(config)
    assert trial.tasks[0].model.batch_size == 4
    assert trial.tasks[0].level.name == PreemptLevel.interrupt.name
    assert trial.tasks[1].model.batch_size == 1
    assert trial.tasks[5].arrival.load == 0.5


PROCESS_FILES = sorted(path.stem for path in (CONF / "arrival").glob("*.yaml"))


def test_every_arrival_process_has_a_file() -> None:
    assert sorted(PROCESSES) == PROCESS_FILES


@pytest.mark.parametrize("process", PROCESS_FILES)
def test_the_command_of_an_arrival_file_runs_its_process(
    process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arrivals.txt").write_text("".join(f"{n / 10}\n" for n in range(1, 31)))
    first = (CONF / "arrival" / f"{process}.yaml").read_text().splitlines()[0]
    overrides = first.split()[4:]
    assert resolve(composed(*overrides)).tasks[0].arrival.process == process
    (taken,) = [each for each in overrides if each.endswith(".process=null")]
    overrides.remove(taken)
    assert resolve(composed(*overrides)).tasks[0].arrival.process in ("closed", "jitter")


def test_a_task_that_leaves_its_arrivals_open_takes_the_groups() -> None:
    """Those of the task sets here say their own, which go before the group's."""
    tasks = resolve(composed("arrival=gamma")).tasks
    assert {task.arrival.process for task in tasks} == {"jitter", "closed"}
    one = "task_set.tasks.low-1.arrival.process"
    tasks = resolve(composed("arrival=gamma", "arrival.cv=3", f"{one}=null")).tasks
    assert tasks[4].arrival == Arrival("gamma", load=0.15, cv=3.0)
    tasks = resolve(composed("arrival=closed", "arrival.cv=3", f"{one}=gamma")).tasks
    assert tasks[4].arrival == Arrival("gamma", load=0.15, cv=3.0)


@pytest.mark.parametrize(
    ("overrides", "config_hash"),
    [
        ((), "6f1a01a9bda3"),
        (("arm=xsched_null",), "a51c532e58f6"),
        (("arm=native",), "5c295ea3d682"),
        (("arm=solo", "task_set=mixed_models"), "d71b63023f8e"),
        (("xsched=up", "task_set=two_shares", "xsched.timeslice_us=5000"), "76d9045ee796"),
        (("xsched=lax", "task_set=two_bert"), "820fe1f88c7e"),
        (("xsched=kedf", "task_set=two_bert"), "60ddb9a41e04"),
    ],
    ids=str,
)
def test_a_hash_is_the_same_for_ever(overrides: tuple[str, ...], config_hash: str) -> None:
    """Sweeps that were begun with an older version go on, and runs of both are compared. There was
    no lead-in then; one is another measurement."""
    assert resolve(composed(*overrides, "task_set.lead_in_s=0")).config_hash == config_hash
    hashes = {resolve(composed(*overrides, f"task_set.lead_in_s={s}")).config_hash for s in (1, 2)}
    assert len(hashes - {config_hash}) == 2
