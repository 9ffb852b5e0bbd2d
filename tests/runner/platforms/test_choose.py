"""What is decided before a trial starts: placement, scheduler, the level in effect, the lock."""

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.config.schema import PLATFORMS, Config
from runner.platforms.choose import choose, choose_placement, get
from runner.platforms.contract import PlatformError
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.gpu.vendors import VENDORS
from runner.proof.checks import Verdict
from runner.runs.record import Summary
from runner.sweep.resume import as_expected
from runner.sweep.turns import device_lock
from runner.trial.status import Status
from tests.runner.gpu_double import DoublePlatform, trial
from tests.runner.platforms.gpu.fake_mps import FakeMps, mps
from tests.xsched_bindings.double import build
from xsched_bindings.capability import cuda_levels
from xsched_bindings.types import PreemptLevel

BLOCK, DEACTIVATE, INTERRUPT = PreemptLevel


__all__ = ["mps"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = build(tmp_path_factory.mktemp("xsched"))
    (library.parent / "bin").mkdir()
    (library.parent / "bin" / "xserver").write_text("")
    return library


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_is_found_by_its_name(name: str) -> None:
    config = Config()
    config.platform.name = name
    platform = get(config)
    assert platform.name == name
    assert platform.placements
    assert "hpf" in platform.policies


@pytest.mark.parametrize(
    ("capability", "tsg", "levels"),
    [
        ((3, 5), False, (BLOCK, DEACTIVATE)),
        ((7, 0), False, (BLOCK, DEACTIVATE, INTERRUPT)),
        ((8, 6), False, (BLOCK, DEACTIVATE, INTERRUPT)),
        ((8, 0), False, (BLOCK,)),
        ((9, 0), False, (BLOCK,)),
        ((9, 0), True, (BLOCK, INTERRUPT)),
    ],
)
def test_levels_by_device(
    capability: tuple[int, int], tsg: bool, levels: tuple[PreemptLevel, ...]
) -> None:
    assert cuda_levels(capability, tsg) == levels


@pytest.mark.parametrize("level", ["deactivate", "interrupt"])
def test_a_level_that_the_device_lacks_is_refused(folder: Path, level: str) -> None:
    with pytest.raises(UserError, match=f"xsched.level={level}") as error:
        trial(DoublePlatform(folder), level=level)
    assert "allowed: block" in str(error.value)
    assert "degrade" in str(error.value)


def test_a_degraded_trial_knows_both_levels(folder: Path) -> None:
    made = trial(DoublePlatform(folder), level="interrupt", unsupported="degrade")
    assert {task.level for task in made.tasks} == {BLOCK}
    assert {task.asked_level for task in made.tasks} == {INTERRUPT}


def test_tsg_is_for_processes(folder: Path) -> None:
    platform = DoublePlatform(folder)
    made = trial(platform, level="interrupt", cuda_lv3="tsg", placement="processes")
    assert {task.level for task in made.tasks} == {INTERRUPT}
    with_all = DoublePlatform(folder, (7, 0))
    for each in (platform, with_all):
        with pytest.raises(UserError, match="allowed: block"):
            trial(each, level="interrupt", cuda_lv3="tsg", placement="threads")


def test_tsg_is_for_several_tasks(folder: Path) -> None:
    platform = DoublePlatform(folder)
    made = trial(platform, level="interrupt", cuda_lv3="tsg", placement="processes")
    assert platform.missing(made) == ""
    alone = replace(made, tasks=made.tasks[:1])
    assert "beside another task: xsched.level=block" in platform.missing(alone)
    assert platform.missing(replace(alone, arm=Arm.native)) == ""


@pytest.mark.parametrize("arm", ["stream_priority", "default_stream"])
def test_arms_of_one_process_are_refused_in_processes(folder: Path, arm: str) -> None:
    with pytest.raises(UserError, match=f"arm={arm}") as error:
        trial(DoublePlatform(folder), arm=arm, placement="processes")
    assert "platform.placement=threads" in str(error.value)


@pytest.mark.parametrize("arm", ["mps_priority", "mps_share"])
def test_arms_of_mps_run_where_it_can_be_had(folder: Path, mps: FakeMps, arm: str) -> None:
    platform, shares = DoublePlatform(folder), {"low-1": {"utilization": 30}}
    made = trial(platform, arm=arm, placement="processes", hints=shares)
    assert made.mps
    assert choose_placement([made, trial(platform)], platform) == ["processes", "processes"]
    stream = trial(platform, arm="stream_priority")
    assert choose_placement([made, stream], platform) == ["processes", "threads"]
    with pytest.raises(UserError, match=f"arm={arm}: threads share") as refused:
        trial(platform, arm=arm, placement="threads", hints=shares)
    assert "platform.placement=processes runs it" in str(refused.value)
    off = DoublePlatform(folder, mps="off")
    with pytest.raises(UserError, match=f"arm={arm}: platform.mps=off"):
        trial(off, arm=arm, placement="processes", mps="off", hints=shares)


def test_arms_of_mps_are_refused_where_it_cannot_be_had(folder: Path) -> None:
    for platform in (DoublePlatform(folder), DoublePlatform(folder, name="hip")):
        with pytest.raises(UserError, match=r"arm=mps_priority: (nvidia-cuda-mps|AMD GPUs)") as one:
            trial(platform, arm="mps_priority", placement="processes")
        assert "leave it out" in str(one.value)
        assert "native" in str(one.value)


def test_shares_must_be_said(folder: Path, mps: FakeMps) -> None:
    with pytest.raises(UserError, match=r"no task has a share .*\n.*low-2\.utilization=30"):
        trial(DoublePlatform(folder), arm="mps_share", placement="processes")


def test_the_scheduler_follows_the_placement(folder: Path) -> None:
    platform = DoublePlatform(folder)
    assert trial(platform).scheduler == "local"
    assert trial(platform, placement="processes").scheduler == "global"
    with pytest.raises(UserError, match=r"xsched\.scheduler=global"):
        trial(platform, scheduler="global")


def test_auto_placement_is_one_that_every_arm_and_level_can_use(folder: Path) -> None:
    platform = DoublePlatform(folder)
    plain = trial(platform)
    tsg = trial(platform, level="interrupt", cuda_lv3="tsg", placement="processes")
    assert choose_placement([plain], platform) == ["threads"]
    assert choose_placement([plain, tsg], platform) == ["processes", "processes"]
    stream = trial(platform, arm="stream_priority")
    # Nothing suits both: each gets its own, and comparisons say so.
    assert choose_placement([stream, tsg], platform) == ["threads", "processes"]


def test_where_mps_can_be_had_a_process_each_is_the_first_choice(
    folder: Path, mps: FakeMps
) -> None:
    platform = DoublePlatform(folder)
    made = trial(platform, arm="native", placement="processes")
    assert made.mps
    assert platform.placements == ("processes", "threads")
    stream = trial(platform, arm="stream_priority")
    assert choose_placement([made], platform) == ["processes"]
    assert choose_placement([made, stream], platform) == ["threads", "threads"]
    off = DoublePlatform(folder, mps="off")
    assert off.placements == ("threads", "processes")
    assert not trial(off, arm="native", placement="processes", mps="off").mps
    tsg = trial(platform, level="interrupt", cuda_lv3="tsg", placement="processes")
    assert not tsg.mps, "a suspended context would be everybody's"


NO_MPS = {
    "threads": ({"placement": "threads"}, "needs platform.placement=processes"),
    "tsg": ({"cuda_lv3": "tsg", "level": "interrupt", "placement": "processes"}, "cuda_lv3=tsg"),
}


@pytest.mark.parametrize("case", NO_MPS)
def test_mps_where_it_cannot_be_is_refused(folder: Path, mps: FakeMps, case: str) -> None:
    changes, says = NO_MPS[case]
    with pytest.raises(UserError, match=r"platform\.mps=on") as refused:
        trial(DoublePlatform(folder), mps="on", **changes)
    assert says in str(refused.value)


def test_mps_that_is_not_installed_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="nvidia-cuda-mps-control is not installed"):
        trial(DoublePlatform(folder), arm="native", placement="processes", mps="on")


def test_arms_without_xsched_get_an_environment_without_a_trace_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{folder}:/usr/lib")
    monkeypatch.setenv("XSCHED_POLICY", "HPF")
    platform = DoublePlatform(folder)
    [bare] = platform.children(trial(platform, arm="native"))
    assert str(folder) not in bare.environment.get("LD_LIBRARY_PATH", "")
    assert not [name for name in bare.environment if name.startswith("XSCHED")]
    assert bare.environment["CUDA_VISIBLE_DEVICES"] == "GPU-double"
    [shimmed] = platform.children(trial(platform))
    assert shimmed.environment["LD_LIBRARY_PATH"].split(":")[0] == str(folder)
    assert shimmed.environment["XSCHED_SCHEDULER"] == "APP"
    assert "XSCHED_POLICY" not in shimmed.environment


def test_a_missing_library_or_server_is_said_before_the_start(tmp_path: Path, folder: Path) -> None:
    class Lost(DoublePlatform):
        def __init__(self, library: Path, home: str) -> None:
            super().__init__(library)
            self.variables.home = home

    with pytest.raises(UserError, match="/nowhere"):
        trial(Lost(folder, "/nowhere"))
    bare = build(tmp_path / "no-server")
    with pytest.raises(UserError, match="placement processes needs XSched's server"):
        trial(DoublePlatform(bare), placement="processes")
    (bare / "libcuda.so.1").unlink()
    with pytest.raises(UserError, match=r"libcuda\.so\.1"):
        trial(DoublePlatform(bare))
    trial(DoublePlatform(bare), arm="native")  # needs none of it


def test_a_gpu_is_looked_for_where_its_platform_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, vendor in VENDORS.items():
        monkeypatch.setitem(VENDORS, name, replace(vendor, device_node=str(tmp_path / name)))
    assert choose() == "host"
    for name in reversed(VENDORS):  # the first that is there goes before those behind it
        (tmp_path / name).write_text("")
        assert (choose(), GpuPlatform(name).no_gpu()) == (name, "")


def test_a_gpu_platform_without_a_gpu_says_so() -> None:
    if not Path("/dev/kfd").exists():
        assert "no AMD GPU here" in GpuPlatform("hip").no_gpu()


# --- one device, one experiment ------------------------------------------------------------------


def _hold(device: str, holding: Any, seconds: float) -> None:
    with device_lock(device, wait=True, say=lambda text: None):
        holding.set()
        time.sleep(seconds)


def test_a_second_trial_waits_for_the_device_or_is_refused(tmp_path: Path) -> None:
    device = f"test-{tmp_path.name}"
    context = multiprocessing.get_context("spawn")
    holding = context.Event()
    other = context.Process(target=_hold, args=(device, holding, 2.0))
    other.start()
    assert holding.wait(20)
    with (
        pytest.raises(PlatformError, match=r"platform\.wait=false"),
        device_lock(device, wait=False, say=print),
    ):
        pass
    said: list[str] = []
    with device_lock(device, wait=True, say=said.append):
        (waiting,) = said
        assert waiting.startswith(f"waiting for another trial: process {other.pid} on ")
    other.join()
    with device_lock(f"{device}-2", wait=False, say=print):
        pass  # another device is free


@pytest.mark.parametrize(
    ("expect", "status", "proof", "good"),
    [
        ("result", Status.FINISHED, Verdict.PROVEN, True),
        ("result", Status.FAILED, Verdict.FAILED, False),
        ("result", Status.KILLED, Verdict.INCOMPLETE, False),
        ("refusal", Status.FAILED, Verdict.FAILED, True),
        ("refusal", Status.FAILED, Verdict.NOT_CLAIMED, False),  # it crashed, and was not refused
        ("refusal", Status.FAILED, None, False),  # it never came to a proof
        ("refusal", Status.FINISHED, Verdict.PROVEN, False),
    ],
)
def test_a_negative_control_expects_the_refusal(
    expect: str, status: Status, proof: Verdict | None, good: bool
) -> None:
    assert as_expected(expect, Summary(name="n", status=status, proof=proof)) is good
