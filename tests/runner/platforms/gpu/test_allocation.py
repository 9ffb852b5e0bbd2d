"""Which GPUs were given to us, by a queue or by the shell."""

import pytest

from runner.platforms.gpu import allocation
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
