"""What a GPU platform says of its device, before a run and after, over the double."""

import resource
from pathlib import Path
from typing import Any

import pytest

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.platforms.device import DeviceFacts, DeviceOrigin, TorchBuild
from runner.platforms.gpu import installed_torch
from runner.platforms.gpu import platform as gpu
from runner.platforms.gpu.management.base import GpuProcess, NoGpu, NoManagement
from runner.platforms.gpu.rocm import NoRocm, Rocm
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
    assert origin.torch == installed_torch.build()
    assert origin.xsched_libraries == gpu.checksums(double)
    whole = provenance.present(origin)
    files.write_json(tmp_path / files.PROVENANCE, whole)
    assert files.read_provenance(tmp_path) == whole


def test_what_nobody_tells_is_left_open(double: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_torch, "build", TorchBuild)
    spec = trial(DoublePlatform(double), arm="native")
    platform = Unmanaged(double)
    platform._home = "/nowhere"
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
        self._no_rocm, self._no_management = no_rocm, no_management

    @property
    def rocm(self) -> Rocm:
        if self._no_rocm:
            raise NoRocm(self._no_rocm)
        return super().rocm

    def _management(self) -> Any:
        if self._no_management:
            raise self._no_management
        return super()._management()


def test_every_arm_has_the_same_hardware_queues_whatever_the_shell_says(
    double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_MAX_HW_QUEUES", "2")
    platform = OnAmd(double)
    for xsched in (True, False):
        assert platform.environment(xsched)["GPU_MAX_HW_QUEUES"] == "8"
    config = Config()
    config.platform.name, config.platform.hardware_queues = "hip", 4
    asked = gpu.open_platform(config)
    assert isinstance(asked, gpu.GpuPlatform)
    assert asked.environment(xsched=False)["GPU_MAX_HW_QUEUES"] == "4"


def test_one_variable_chooses_the_gpu_by_the_drivers_number(
    double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ROCR_VISIBLE_DEVICES=3 HIP's number 0 is AMD SMI's 3: both mean the same GPU."""
    for name in ("ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "3")
    environment = OnAmd(double).environment(xsched=True)
    chosen = {name: text for name, text in environment.items() if "VISIBLE" in name}
    assert chosen == {"HIP_VISIBLE_DEVICES": "3"}
    assert "GPU_DEVICE_ORDINAL" not in environment


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


@pytest.mark.parametrize("shim_in_place", [True, False])
def test_xsched_is_told_the_runtime_with_its_shim_and_without(
    double: Path, shim_in_place: bool
) -> None:
    platform = OnAmd(double)
    environment = platform.environment(xsched=True, shim_in_place=shim_in_place)
    assert environment["XSCHED_HIP_LIB"] == str(platform.rocm.runtime)
    assert environment["XSCHED_HIP_COMGR_LIB"] == str(platform.rocm.comgr)
    assert ("LD_PRELOAD" in environment) is shim_in_place


def test_two_hip_runtimes_are_refused_before_the_start(double: Path) -> None:
    with pytest.raises(UserError, match="platform=hip: 2 copies"):
        trial(OnAmd(double, no_rocm="2 copies of libamdhip64.so"))
    trial(OnAmd(double, no_rocm="2 copies"), arm="native")  # XSched has no part in it


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

    monkeypatch.setattr(gpu.rocm, "of_torch", of_torch)
    monkeypatch.setenv("LD_PRELOAD", "/xsched/libshimhip.so")
    platform = gpu.GpuPlatform("hip")
    for _ in range(2):
        if isinstance(outcome, NoRocm):
            with pytest.raises(NoRocm, match="none"):
                _ = platform.rocm
        else:
            assert platform.rocm == outcome
    [environment] = asked
    assert "LD_PRELOAD" not in environment, "without a shim"


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
