"""Which GPUs were given to us, by a queue or by the shell."""

import pytest

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.gpu import allocation, platform
from runner.platforms.gpu.management.base import NoGpu
from runner.platforms.gpu.vendors import VENDORS

CUDA, ROCR, HIP = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"
UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in VENDORS.values():
        for name in vendor.allocations:
            monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "variables", "given"),
    [
        ("cuda", {}, None),
        ("cuda", {CUDA: "3,1"}, ["3", "1"]),
        ("cuda", {CUDA: UUID}, [UUID]),
        ("cuda", {CUDA: "NoDevFiles"}, []),
        ("cuda", {ROCR: "3"}, None),
        ("hip", {ROCR: "4,5,6"}, ["4", "5", "6"]),
        ("hip", {ROCR: "4,5,6", HIP: "2,0"}, ["6", "4"]),
        ("hip", {HIP: "2"}, ["2"]),
    ],
)
def test_variables_choose_one_after_another(
    name: str, variables: dict[str, str], given: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert allocation.allocated(name) == given


def test_a_number_is_one_within_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allocation.real("cuda", "1") == "1"
    monkeypatch.setenv(CUDA, "3,1")
    assert allocation.real("cuda", "1") == "1"
    assert allocation.real("cuda", "0") == "3"
    assert allocation.real("cuda", UUID) == UUID
    with pytest.raises(NoGpu, match=r"no NVIDIA GPU 2 among those given: 2 \(CUDA_VIS.*=3,1"):
        allocation.real("cuda", "2")


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Config:
    """A machine of four NVIDIA GPUs and ten CPU cores."""

    def opened(_: str, device: str) -> None:
        if int(device) > 3:
            raise NoGpu(f"there is no NVIDIA GPU {device}: 4 here, from 0")

    monkeypatch.setattr(platform, "_open_management", opened)
    monkeypatch.setattr(allocation, "count", lambda _: 4)
    monkeypatch.setattr(platform, "available_cores", lambda: list(range(10)))
    config = Config()
    config.platform.name = "cuda"
    return config


def test_all_are_those_that_were_given(four: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform.devices(four) == []
    four.platform.devices = ["all"]
    assert platform.devices(four) == ["0", "1", "2", "3"]
    monkeypatch.setenv(CUDA, "2,3")
    assert platform.devices(four) == ["0", "1"]


def test_a_gpu_that_is_not_there_is_named(four: Config) -> None:
    four.platform.devices = ["0", "4"]
    with pytest.raises(UserError, match=r"devices=0,4: there is no NVIDIA GPU 4: 4 here"):
        platform.devices(four)


def test_cores_are_shared_out_among_several(four: Config) -> None:
    def cores(device: str) -> list[int]:
        four.platform.device = device
        return platform.cores_of(four)

    assert cores("0") == [], "one GPU has them all"
    four.platform.devices = ["all"]
    assert [cores(each) for each in "0123"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
