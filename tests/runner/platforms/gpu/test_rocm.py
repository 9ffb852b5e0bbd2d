"""Which of ROCm's libraries a process has, over PyTorchs that load libraries made here."""

import os
from pathlib import Path

import pytest

from runner.platforms.gpu import rocm
from runner.platforms.gpu.rocm import NoRocm, Rocm
from tests.conftest import ROOT
from tests.runner import fake_rocm


def environment(*packages: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*packages, ROOT]))}


def test_it_is_what_pytorch_loads(tmp_path: Path) -> None:
    runtime, comgr = fake_rocm.rocm(tmp_path / "wheel")
    site = fake_rocm.torch(tmp_path / "site", [runtime, comgr])
    assert rocm.of_torch(environment(site)) == Rocm(runtime, comgr)


def test_a_comgr_that_is_loaded_later_is_the_one_beside_the_runtime(tmp_path: Path) -> None:
    runtime, comgr = fake_rocm.rocm(tmp_path / "wheel")
    assert rocm.of_process([runtime]) == Rocm(runtime, comgr)
    link = comgr.with_name("libamd_comgr.so")
    link.symlink_to(comgr)
    assert rocm.of_process([runtime]) == Rocm(runtime, link)
    elsewhere = Path("/opt/rocm/lib/libamd_comgr.so.3")
    assert rocm.of_process([runtime, elsewhere]).comgr == elsewhere


def test_others_with_like_names_are_others(tmp_path: Path) -> None:
    runtime, comgr = fake_rocm.rocm(tmp_path)
    like = ["/a/libamd_comgr_loader.so.1", "/a/libamdhip64_shim.so"]
    assert rocm.of_process([runtime, comgr, *map(Path, like)]) == Rocm(runtime, comgr)


@pytest.mark.parametrize("name", ["libamdhip64.so", "libamd_comgr.so"])
def test_two_in_one_process_are_refused_with_both_places(tmp_path: Path, name: str) -> None:
    both = [*fake_rocm.rocm(tmp_path / "wheel"), *fake_rocm.rocm(tmp_path / "opt")]
    loads = [each for each in both if each.name.startswith(name) or each.parent.name == "wheel"]
    site = fake_rocm.torch(tmp_path / "site", loads)
    with pytest.raises(NoRocm, match=f"2 copies of {name}") as refused:
        rocm.of_torch(environment(site))
    assert "/wheel/" in str(refused.value)
    assert "/opt/" in str(refused.value)
    assert "LD_LIBRARY_PATH" in str(refused.value)


def test_none_is_refused(tmp_path: Path) -> None:
    site = fake_rocm.torch(tmp_path / "site", [])
    with pytest.raises(NoRocm, match=r"no libamdhip64\.so is there"):
        rocm.of_torch(environment(site))
    runtime = fake_rocm.library(tmp_path / "libamdhip64.so.7")
    with pytest.raises(NoRocm, match=r"no libamd_comgr\.so is there"):
        rocm.of_process([runtime])


def test_a_pytorch_that_cannot_be_imported_says_its_last_words(tmp_path: Path) -> None:
    site = fake_rocm.torch(tmp_path / "site", [tmp_path / "libamdhip64.so.7"])
    with pytest.raises(NoRocm, match=r"cannot be imported: OSError: .*libamdhip64\.so\.7"):
        rocm.of_torch(environment(site))


def test_a_gpu_that_is_numbered_otherwise_is_told_with_both_places() -> None:
    assert rocm.another_gpu("0000:0C:00.0", "0000:0c:00.0") == ""
    fault = rocm.another_gpu("0000:0c:00.0", "0000:22:00.0")
    assert "0000:0c:00.0 to AMD SMI" in fault
    assert "0000:22:00.0 to HIP" in fault
    assert "platform.device=N" in fault
