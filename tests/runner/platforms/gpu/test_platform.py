"""What a GPU platform says of its device, before a run and after, over the double."""

from pathlib import Path
from typing import Any

import pytest

from runner.platforms.device import DeviceOrigin, TorchBuild
from runner.platforms.gpu import platform as gpu
from runner.platforms.gpu.management.base import GpuProcess, NoManagement
from runner.runs import files, provenance
from tests.runner.gpu_double import DoublePlatform, trial
from tests.xsched_bindings.double import build


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


class Unmanaged(DoublePlatform):
    def _management(self) -> Any:
        raise NoManagement("no library")


def test_provenance_is_the_gpu_its_settings_and_libraries(double: Path, tmp_path: Path) -> None:
    platform = DoublePlatform(double)
    origin = platform.provenance()
    assert origin.device_cores is None
    assert origin.gpu == platform.info()
    assert origin.settings == platform._management().settings()
    assert origin.torch == gpu.torch_build()
    assert origin.xsched_libraries == gpu.checksums(double)
    whole = provenance.present(origin)
    files.write_json(tmp_path / files.PROVENANCE, whole)
    assert files.read_provenance(tmp_path) == whole


def test_what_nobody_tells_is_left_open(double: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "torch_build", TorchBuild)
    spec = trial(DoublePlatform(double), arm="native")
    platform = Unmanaged(double)
    platform._home = "/nowhere"
    assert platform.provenance() == DeviceOrigin(torch=TorchBuild())
    assert platform.lock == "cuda-0"
    assert platform.fingerprint(spec) == "cuda ? torch=None"


def test_the_build_of_pytorch_is_read_without_importing_it() -> None:
    import torch

    here = TorchBuild(torch.__version__, torch.version.cuda, torch.version.hip)
    assert gpu.torch_build() == here


def test_the_window_leaves_facts_and_notes(double: Path, tmp_path: Path) -> None:
    others = [GpuProcess(7, "", None), GpuProcess(1, "somebody", 400)]
    platform = DoublePlatform(double, others=others)
    platform.begin_window([])
    seen = platform.end_window(tmp_path)
    assert seen.facts.foreign_processes == ("somebody (1)", "unknown (7)")
    assert seen.facts.throttled == ("hw_slowdown",)
    assert seen.facts.telemetry is not None
    assert seen.facts.telemetry.samples >= 2
    assert seen.facts.telemetry.before is not None
    assert seen.facts.telemetry.before.power_w == 100.0
    assert seen.notes == [
        "the GPU was not ours alone: somebody (1), unknown (7)",
        "the GPU was throttled: hw_slowdown",
    ]
    assert (tmp_path / files.TELEMETRY).is_file()
