"""An AMD GPU with all that belongs to it, and what the doctor says where a part is broken: each
set-up is named, with what to do, and nothing else is."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from runner.commands.doctor import amd as checks
from runner.commands.doctor import shim
from runner.commands.doctor.checks import guarded
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from runner.platforms.device import TorchBuild
from runner.platforms.gpu import installed_torch
from runner.platforms.gpu.environment import OTHERS_OF_HIP
from runner.platforms.gpu.management import amd
from runner.platforms.gpu.management.open import opened
from runner.platforms.gpu.vendors import VENDORS
from tests.conftest import ROOT
from tests.runner import fake_rocm
from tests.runner.platforms.gpu.test_management import FakeSmi
from xsched_bindings import companion

#: Those that look at the GPU, at PyTorch and at XSched.
CHECKS = (
    "software:pytorch",
    "gpu:identity",
    "amd:access",
    "amd:numbers",
    "xsched:libraries",
    "xsched:driver_library",
    "amd:shims_functions",
    "amd:hardware_queues",
    "amd:open_files",
    "shim:interception",
    "gpu:levels",
)
#: Sees what is launched if the shim is preloaded, and has mapped what XSched was told of.
PROBE = """
import json, os, sys
platform, folder, work = sys.argv[1:]
there = "libshimhip.so" in os.environ.get("LD_PRELOAD", "")
libraries = [os.environ[name] for name in ("XSCHED_HIP_LIB", "XSCHED_HIP_COMGR_LIB") if there]
seen = {"launched": 2, "counted": 2 * there, "right": True, "libraries": libraries}
seen["pci"] = "0000:0c:00.0"
"""
SAY = "print(json.dumps(seen))"


@dataclass
class Amd:
    """The machine, before it is looked at, and its parts that a test may break."""

    home: Path
    site: Path
    rocm: list[Path]
    nodes: Path
    smi: FakeSmi
    monkeypatch: pytest.MonkeyPatch
    machine: Machine

    def build(self, *version: Any, **built_for: str) -> None:
        build = TorchBuild(*version, **built_for)
        self.monkeypatch.setattr(installed_torch, "build", lambda: build)

    def loads(self, *libraries: Path) -> None:
        fake_rocm.torch(self.site, libraries)

    def probe(self, change: str) -> None:
        program = f"{PROBE}{change}\n{SAY}"
        self.monkeypatch.setattr(shim, "PROBE", (sys.executable, "-S", "-c", program))

    def lines(self) -> dict[str, Line]:
        return {line.name: line for check in CHECKS for line in guarded(check, self.machine)}


@pytest.fixture
def on_amd(
    bare: Machine, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Amd]:
    nodes = tmp_path / "dev"
    (nodes / "dri").mkdir(parents=True)
    (nodes / "kfd").write_text("")
    (nodes / "dri" / "renderD128").write_text("")
    vendor = replace(VENDORS["hip"], device_node=str(nodes / "kfd"))
    monkeypatch.setitem(VENDORS, "hip", vendor)
    monkeypatch.setattr(checks, "RENDER_NODES", nodes / "dri")
    smi = FakeSmi()
    monkeypatch.setitem(sys.modules, "amdsmi", smi)
    for name in ("ROCM_PATH", "GPU_MAX_HW_QUEUES", vendor.visible, *OTHERS_OF_HIP):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "xsched"
    for name in ("libpreempt.so", "libhalhip.so"):
        fake_rocm.library(home / "lib" / name)
    fake_rocm.shim(home / "lib" / "libshimhip.so")
    rocm = fake_rocm.rocm(tmp_path / "rocm" / "lib")
    site = fake_rocm.torch(tmp_path / "site", rocm)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (site, ROOT))))
    monkeypatch.setattr(checks, "ROCM", tmp_path / "rocm")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, checks.FILES))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    machine = replace(bare, home=str(home))
    there = Amd(home, site, rocm, nodes, smi, monkeypatch, machine)
    there.build("2.9.0a0+git1234", hip="7.0.2")
    there.probe("")
    for cached in (amd.library, opened):
        cached.cache_clear()
    yield there
    for cached in (amd.library, opened):
        cached.cache_clear()


def test_a_machine_in_order_has_nothing_to_see_to(on_amd: Amd) -> None:
    lines = on_amd.lines()
    assert {name: line.found for name, line in lines.items() if line.state is not State.ok} == {}
    assert lines["GPU"].found.startswith("AMD Instinct MI300X, gfx942")
    runtime, comgr = on_amd.rocm
    assert lines["driver library"].found == f"{runtime}, {comgr}: what PyTorch loads, one of each"
    assert lines["driver library"].details["not_loaded"] == []
    assert "libshimhip.so" in lines["shim's functions"].found
    assert lines["hardware queues"].found.startswith("8 for a process")
    assert lines["shim: matmul"].found == (
        "2 of 2 commands pass through the queue, the result is right"
    )
    assert lines["without the shim"].found == "0 of 2 commands pass through the queue"
    assert lines["place of the GPU"].found == "0000:0c:00.0, to AMD SMI and to HIP"
    assert lines["preemption levels"].found == "block"


def test_copies_that_are_not_loaded_are_told(on_amd: Amd, tmp_path: Path) -> None:
    """The likely cause, should a second one be loaded one day; the shim's links are none."""
    other = fake_rocm.rocm(tmp_path / "rocm-6.4.1" / "lib")
    on_amd.monkeypatch.setenv("LD_LIBRARY_PATH", str(on_amd.home / "lib"))
    (on_amd.home / "lib" / "libamdhip64.so").symlink_to("libshimhip.so")
    line = on_amd.lines()["driver library"]
    assert line.state is State.ok
    assert line.found.endswith(f"; not loaded: {', '.join(map(str, sorted(other)))}")


def two_runtimes(there: Amd) -> None:
    there.loads(*there.rocm, *fake_rocm.rocm(there.site / "opt" / "rocm" / "lib"))


def two_comgrs(there: Amd) -> None:
    there.loads(*there.rocm, fake_rocm.library(there.site / "opt" / "libamd_comgr.so.2"))


def no_runtime(there: Amd) -> None:
    there.loads(there.rocm[1])


def no_comgr(there: Amd) -> None:
    there.rocm[1].unlink()
    there.loads(there.rocm[0])


def a_runtime_that_is_missing(there: Amd) -> None:
    there.rocm[0].unlink()


def a_second_runtime_by_a_kernel(there: Amd) -> None:
    there.probe("libraries += ['/opt/rocm/lib/libamdhip64.so.6'] * (work == 'convolution')")


def no_amdsmi(there: Amd) -> None:
    there.monkeypatch.setitem(sys.modules, "amdsmi", None)


def another_number_than_there_are(there: Amd) -> None:
    there.machine = replace(there.machine, device="3")


def a_cuda_build(there: Amd) -> None:
    there.build("2.13.0+cu130", "13.0")


def an_old_pytorch(there: Amd) -> None:
    there.build("2.5.1+rocm6.2", hip="6.2")


def no_rights(there: Amd) -> None:
    may = os.access
    closed = there.nodes / "dri" / "renderD128"
    there.monkeypatch.setattr(os, "access", lambda path, mode: path != closed and may(path, mode))


def no_render_node(there: Amd) -> None:
    (there.nodes / "dri" / "renderD128").unlink()


def the_shells_numbers(there: Amd) -> None:
    there.monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "3")


def a_gpu_that_hip_numbers_otherwise(there: Amd) -> None:
    there.probe("seen['pci'] = '0000:22:00.0'")


def few_files(there: Amd) -> None:
    there.monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))


def a_fork_that_exports_nothing(there: Amd) -> None:
    fake_rocm.shim(there.home / "lib" / "libshimhip.so", ["dlsym_of_a_fork"])
    there.probe("seen['counted'] = 0")


def a_shim_without_the_call_of_gemms(there: Amd) -> None:
    """As XSched 1.2.0 has it: the name of C++ alone. Its companion has the other."""
    names = ["hipLaunchKernel", "hipModuleLaunchKernel", "_Z24hipExtModuleLaunchKernelP1f"]
    fake_rocm.shim(there.home / "lib" / "libshimhip.so", names)
    there.probe("seen['counted'] = 0 if work == 'matmul' else seen['counted']")


def no_compiler(there: Amd) -> None:
    there.monkeypatch.setattr(companion, "COMPILERS", ())


def a_shim_that_is_cut_off(there: Amd) -> None:
    (there.home / "lib" / "libshimhip.so").write_text("no library")


def xsched_for_nvidia(there: Amd) -> None:
    for name in ("libhalhip.so", "libshimhip.so"):
        (there.home / "lib" / name).unlink()


def a_shim_that_crashes_in_attention(there: Amd) -> None:
    there.probe("if there and work == 'attention': os.kill(os.getpid(), 11)")


def a_shim_that_keeps_pointers(there: Amd) -> None:
    there.probe("seen['right'] = not there or work != 'attention'")


def a_witness_that_sees_nothing(there: Amd) -> None:
    there.probe("seen['launched'] = 0")


@dataclass(frozen=True)
class Told:
    line: str
    state: State
    found: str
    remedy: str


E, W = State.error, State.warning
SHIM = "shim: add", "shim: matmul", "shim: attention", "shim: convolution"
NOT_TRIED = Told("shim", W, "not tried", "see")
NO_FUNCTION = "of a fork see that its shim still exports HIP's functions"
SET_UPS: dict[Callable[[Amd], None], list[Told]] = {
    two_runtimes: [
        Told("driver library", E, "2 copies of libamdhip64.so in one process", "LD_LIBRARY_PATH"),
        NOT_TRIED,
    ],
    two_comgrs: [
        Told("driver library", E, "2 copies of libamd_comgr.so", "LD_LIBRARY_PATH"),
        NOT_TRIED,
    ],
    no_runtime: [
        Told("driver library", E, "no libamdhip64.so is there", "built for ROCm"),
        NOT_TRIED,
    ],
    no_comgr: [Told("driver library", E, "no libamd_comgr.so", "with the ROCm"), NOT_TRIED],
    a_runtime_that_is_missing: [
        Told("driver library", E, "PyTorch cannot be imported: OSError", "Install the ROCm"),
        NOT_TRIED,
    ],
    a_second_runtime_by_a_kernel: [
        Told("shim: convolution", E, "2 copies of libamdhip64.so", "LD_LIBRARY_PATH"),
    ],
    no_amdsmi: [Told("GPU", W, "amdsmi, a part of ROCm, is not installed", "ROCM_PATH")],
    another_number_than_there_are: [Told("GPU", E, "no AMD GPU 3: 1 here", "platform=host")],
    a_cuda_build: [
        Told("PyTorch", E, "built for cuda 13.0, and there is an AMD GPU", "build for AMD GPUs"),
        NOT_TRIED,
    ],
    an_old_pytorch: [Told("PyTorch", W, "2.5.1+rocm6.2", "make setup")],
    no_rights: [Told("device files", E, "may not be opened", "--group-add render")],
    no_render_node: [Told("device files", E, "has no renderD*", "--device=/dev/dri")],
    the_shells_numbers: [Told("GPU numbers", W, "ROCR_VISIBLE_DEVICES=3", "platform.device=N")],
    a_gpu_that_hip_numbers_otherwise: [
        Told("place of the GPU", E, "0000:22:00.0 to HIP", "platform.device=N"),
    ],
    few_files: [Told("open files", W, "may have 4096", "docker run --ulimit nofile=65536")],
    a_fork_that_exports_nothing: [
        Told("shim's functions", E, "hipLaunchKernel is missing", NO_FUNCTION),
        *(Told(name, E, "0 of 2 commands", "rebuild XSched") for name in SHIM),
    ],
    a_shim_without_the_call_of_gemms: [
        Told("shim: matmul", E, "0 of 2 commands", "docs/amd.md, 'What the shim does not see'"),
    ],
    no_compiler: [Told("shim", E, "C compiler () was not found", "apt install gcc")],
    a_shim_that_is_cut_off: [
        Told("shim's functions", E, "libshimhip.so is no 64-bit library", "build XSched anew"),
    ],
    xsched_for_nvidia: [
        Told("XSched", E, "without libhalhip.so, libshimhip.so", "make hip"),
        Told("shim", E, "libshimhip.so was not found", "PLATFORM_HIP=ON"),
    ],
    a_shim_that_crashes_in_attention: [
        Told("shim: attention", E, "was killed by SIGSEGV", "docs/doctor.md"),
    ],
    a_shim_that_keeps_pointers: [
        Told("shim: attention", E, "the result is another one", "--bundle FILE"),
    ],
    a_witness_that_sees_nothing: [
        *(Told(name, E, "tracing library saw no command", "torch.profiler") for name in SHIM),
    ],
}


@pytest.mark.parametrize("broken", SET_UPS, ids=lambda broken: broken.__name__)
def test_a_broken_set_up_is_named_with_its_remedy(
    on_amd: Amd, broken: Callable[[Amd], None]
) -> None:
    broken(on_amd)
    wrong = {name: line for name, line in on_amd.lines().items() if line.state is not State.ok}
    assert set(wrong) == {told.line for told in SET_UPS[broken]}
    for told in SET_UPS[broken]:
        line = wrong[told.line]
        assert line.state is told.state
        assert told.found in line.found
        assert told.remedy in line.remedy
