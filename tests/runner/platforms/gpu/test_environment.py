"""What processes on a GPU find in their environment, over the double."""

from pathlib import Path
from typing import Any

import pytest

from runner.config.schema import Config
from runner.platforms.gpu import rocm
from runner.platforms.gpu.environment import SERIAL, Environment, driver
from runner.platforms.gpu.platform import GpuPlatform, open_platform
from runner.platforms.gpu.rocm import NoRocm, Rocm
from tests.runner.gpu_double import DoublePlatform
from tests.xsched_bindings.double import build


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


def test_every_arm_has_the_same_hardware_queues_whatever_the_shell_says(
    double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_MAX_HW_QUEUES", "2")
    platform = DoublePlatform(double, name="hip")
    for xsched in (True, False):
        assert platform.environment(xsched)["GPU_MAX_HW_QUEUES"] == "8"
    config = Config()
    config.platform.name, config.platform.hardware_queues = "hip", 4
    asked = open_platform(config)
    assert isinstance(asked, GpuPlatform)
    assert asked.environment(xsched=False)["GPU_MAX_HW_QUEUES"] == "4"


def test_one_variable_chooses_the_gpu_by_the_drivers_number(
    double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ROCR_VISIBLE_DEVICES=3 HIP's number 0 is AMD SMI's 3: both mean the same GPU."""
    for name in ("ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "3")
    environment = DoublePlatform(double, name="hip").environment(xsched=True)
    chosen = {name: text for name, text in environment.items() if "VISIBLE" in name}
    assert chosen == {"HIP_VISIBLE_DEVICES": "3"}
    assert "GPU_DEVICE_ORDINAL" not in environment


@pytest.mark.parametrize("shim_in_place", [True, False])
def test_xsched_is_told_the_runtime_with_its_shim_and_without(
    double: Path, shim_in_place: bool
) -> None:
    platform = DoublePlatform(double, name="hip")
    environment = platform.environment(xsched=True, shim_in_place=shim_in_place)
    assert environment["XSCHED_HIP_LIB"] == str(platform.variables.rocm.runtime)
    assert environment["XSCHED_HIP_COMGR_LIB"] == str(platform.variables.rocm.comgr)
    assert ("LD_PRELOAD" in environment) is shim_in_place


@pytest.mark.parametrize("outcome", [Rocm(Path("/a"), Path("/b")), NoRocm("none")])
def test_pytorch_is_asked_once_whatever_it_says(
    outcome: Rocm | NoRocm, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def of_torch(environment: Any) -> Rocm:
        asked.append(environment)
        if isinstance(outcome, NoRocm):
            raise outcome
        return outcome

    monkeypatch.setattr(rocm, "of_torch", of_torch)
    monkeypatch.setenv("LD_PRELOAD", "/xsched/libshimhip.so")
    variables = Environment("hip", None, hardware_queues=8, companion=True)
    for _ in range(2):
        if isinstance(outcome, NoRocm):
            with pytest.raises(NoRocm, match="none"):
                _ = variables.rocm
        else:
            assert variables.rocm == outcome
    [environment] = asked
    assert "LD_PRELOAD" not in environment, "without a shim"


def test_the_driver_is_never_the_shim(double: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(double))
    found = driver()
    assert found is None or found.parent != double


@pytest.mark.parametrize("name", ["cuda", "hip"])
def test_what_would_serialise_launches_is_not_handed_on(
    name: str, double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in sorted(SERIAL):
        monkeypatch.setenv(variable, "1")
    for xsched in (True, False):
        assert not SERIAL & DoublePlatform(double, name=name).environment(xsched).keys()
