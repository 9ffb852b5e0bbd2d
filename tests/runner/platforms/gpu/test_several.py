"""Several GPUs of one host: which ones, and their CPU cores."""

import pytest

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.gpu import allocation, several
from runner.platforms.gpu.management.base import NoGpu
from runner.platforms.gpu.vendors import VENDORS

CUDA = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VENDORS["cuda"].allocations:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Config:
    """A machine of four NVIDIA GPUs and ten CPU cores."""

    def opened(_: str, device: str) -> None:
        if int(device) > 3:
            raise NoGpu(f"there is no NVIDIA GPU {device}: 4 here, from 0")

    monkeypatch.setattr(several, "opened", opened)
    monkeypatch.setattr(allocation, "count", lambda _: 4)
    monkeypatch.setattr(several, "available_cores", lambda: list(range(10)))
    config = Config()
    config.platform.name = "cuda"
    return config


def test_all_are_those_that_were_given(four: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert several.devices(four) == []
    four.platform.devices = ["all"]
    assert several.devices(four) == ["0", "1", "2", "3"]
    monkeypatch.setenv(CUDA, "2,3")
    assert several.devices(four) == ["0", "1"]


def test_a_gpu_that_is_not_there_is_named(four: Config) -> None:
    four.platform.devices = ["0", "4"]
    with pytest.raises(UserError, match=r"devices=0,4: there is no NVIDIA GPU 4: 4 here"):
        several.devices(four)


def test_cores_are_shared_out_among_several(four: Config) -> None:
    def cores(device: str) -> list[int]:
        four.platform.device = device
        return several.cores_of(four)

    assert cores("0") == [], "one GPU has them all"
    four.platform.devices = ["all"]
    assert [cores(each) for each in "0123"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
