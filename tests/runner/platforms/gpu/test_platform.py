"""What a GPU platform says of its device, before a run and after, over the double."""

import resource
from pathlib import Path
from typing import Any

import pytest

from runner.config.errors import UserError
from runner.platforms.device import DeviceFacts, DeviceOrigin, TorchBuild
from runner.platforms.gpu import installed_torch
from runner.platforms.gpu.management.base import GpuProcess, NoGpu, NoManagement
from runner.runs import files, provenance
from tests.runner.gpu_double import DoublePlatform, trial
from tests.xsched_bindings.double import build
from xsched_bindings.library import checksums


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
    assert origin.torch == installed_torch.build()
    assert origin.xsched_libraries == checksums(double)
    whole = provenance.present(origin)
    files.write_json(tmp_path / files.PROVENANCE, whole)
    assert files.read_provenance(tmp_path) == whole


def test_what_nobody_tells_is_left_open(double: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_torch, "build", TorchBuild)
    spec = trial(DoublePlatform(double), arm="native")
    platform = Unmanaged(double)
    platform.variables.home = "/nowhere"
    assert platform.provenance() == DeviceOrigin(torch=TorchBuild())
    assert platform.lock == "cuda-0"
    assert platform.fingerprint(spec) == "cuda ? torch=None"


def test_the_build_of_pytorch_is_read_without_importing_it() -> None:
    import torch

    here = TorchBuild(torch.__version__, torch.version.cuda, torch.version.hip)
    assert installed_torch.build() == here


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


# --- AMD -----------------------------------------------------------------------------------------


class OnAmd(DoublePlatform):
    """no_rocm, no_management: why there is none."""

    def __init__(
        self, folder: Path, no_rocm: str = "", no_management: NoManagement | None = None
    ) -> None:
        super().__init__(folder, name="hip")
        self.variables.no_rocm = no_rocm
        self._no_management = no_management

    def _management(self) -> Any:
        if self._no_management:
            raise self._no_management
        return super()._management()


def test_a_trials_process_knows_where_its_gpu_must_be(double: Path) -> None:
    platform = OnAmd(double)
    [setup] = platform.children(trial(platform))
    assert setup.details["pci"] == "0000:00:00.0"
    unobserved = OnAmd(double, no_management=NoManagement("no library"))
    [setup] = unobserved.children(trial(unobserved))
    assert setup.details["pci"] == ""
    cuda = DoublePlatform(double)
    [setup] = cuda.children(trial(cuda))
    assert setup.details["pci"] == "", "NVIDIA's is chosen by its UUID"


def test_a_run_does_without_amdsmi_and_says_so(double: Path, tmp_path: Path) -> None:
    platform = OnAmd(double, no_management=NoManagement("amdsmi is not installed"))
    assert platform.missing(trial(platform)) == ""
    platform.begin_window([])
    seen = platform.end_window(tmp_path)
    assert seen.facts == DeviceFacts()
    assert seen.notes == [
        "nobody saw the GPU's clocks, nor who else used it: amdsmi is not installed"
    ]
    assert not (tmp_path / files.TELEMETRY).exists()


@pytest.mark.parametrize(
    ("name", "error"),
    [("hip", NoGpu("there is no AMD GPU 3")), ("cuda", NoManagement("no library"))],
)
def test_what_cannot_be_done_without_is_refused(
    double: Path, name: str, error: NoManagement
) -> None:
    platform = OnAmd(double) if name == "hip" else DoublePlatform(double)
    spec = trial(platform)
    without = OnAmd(double, no_management=error) if name == "hip" else Unmanaged(double)
    assert without.missing(spec) == str(error)


def test_two_hip_runtimes_are_refused_before_the_start(double: Path) -> None:
    with pytest.raises(UserError, match="platform=hip: 2 copies"):
        trial(OnAmd(double, no_rocm="2 copies of libamdhip64.so"))
    trial(OnAmd(double, no_rocm="2 copies"), arm="native")  # XSched has no part in it


def test_a_trials_processes_may_open_as_many_files_as_the_limit_allows(
    double: Path, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        platform = OnAmd(double)
        platform.open(trial(platform), tmp_path, lambda text: None)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
