from pathlib import Path

import pytest

from tests.xsched_bindings.double import build
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.shim import (
    AUTO_XQUEUE,
    GLOBAL_SCHEDULER,
    LEVEL_3_BY_TSG,
    cuda_environment,
    hip_environment,
    without_shim,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


def test_cudas_shim_comes_first_on_the_loaders_path(folder: Path) -> None:
    inherited = {"LD_LIBRARY_PATH": "/a:/b", "PATH": "/bin"}
    assert cuda_environment(folder, None, inherited) == {
        "LD_LIBRARY_PATH": f"{folder}:/a:/b",
        "PATH": "/bin",
    }
    assert inherited["LD_LIBRARY_PATH"] == "/a:/b"


@pytest.mark.parametrize("inherited", [{}, {"LD_LIBRARY_PATH": ""}, {"LD_LIBRARY_PATH": ":"}])
def test_the_working_directory_is_not_put_on_the_path(
    folder: Path, inherited: dict[str, str]
) -> None:
    assert cuda_environment(folder, None, inherited) == {"LD_LIBRARY_PATH": str(folder)}


def test_a_driver_elsewhere_is_named_to_both_who_look_for_it(folder: Path) -> None:
    environment = cuda_environment(folder, Path("/driver/libcuda.so.1"), {})
    assert environment["XSCHED_CUDA_LIB"] == "/driver/libcuda.so.1"
    assert environment["CUXTRA_CUDA_LIB"] == "/driver/libcuda.so.1"


RUNTIME, COMGR = Path("/rocm/libamdhip64.so.7"), Path("/rocm/libamd_comgr.so.3")


def test_hips_shim_is_preloaded_first_over_the_runtime_that_is_named(folder: Path) -> None:
    environment = hip_environment(folder, RUNTIME, COMGR, {"LD_PRELOAD": "/x.so"})
    assert environment == {
        "LD_LIBRARY_PATH": str(folder),
        "LD_PRELOAD": f"{folder}/libshimhip.so:/x.so",
        "XSCHED_HIP_LIB": str(RUNTIME),
        "XSCHED_HIP_COMGR_LIB": str(COMGR),
    }
    alone = hip_environment(folder, RUNTIME, COMGR, {"XSCHED_HIP_LIB": "/another"})
    assert alone["LD_PRELOAD"] == f"{folder}/libshimhip.so"
    assert alone["XSCHED_HIP_LIB"] == str(RUNTIME)


def test_the_companion_of_hips_shim_comes_before_it(folder: Path) -> None:
    beside = Path("/cache/1/libhipcompanion.so")
    environment = hip_environment(folder, RUNTIME, COMGR, {"LD_PRELOAD": "/x.so"}, beside)
    assert environment["LD_PRELOAD"] == f"{beside}:{folder}/libshimhip.so:/x.so"
    assert without_shim(environment, folder) == {"LD_PRELOAD": "/x.so"}


def test_a_folder_without_the_shim_is_refused(tmp_path: Path) -> None:
    folder = build(tmp_path)
    (folder / "libcuda.so.1").unlink()
    (folder / "libshimhip.so").unlink()
    with pytest.raises(LibraryNotFound, match=r"libcuda\.so\.1(.|\n)*SHIM_SOFTLINK"):
        cuda_environment(folder, None, {})
    with pytest.raises(LibraryNotFound, match=r"libshimhip\.so"):
        hip_environment(folder, RUNTIME, COMGR, {})


def test_a_driver_beside_the_shim_is_not_the_shim(tmp_path: Path) -> None:
    folder = build(tmp_path)
    (folder / "libcuda.so.1").unlink()
    (folder / "libcuda.so.1").write_text("the real driver")
    with pytest.raises(LibraryNotFound, match="a link to libshimcuda"):
        cuda_environment(folder, None, {})


@pytest.mark.parametrize(
    "inherited",
    [
        {},
        {"PATH": "/bin"},
        {"LD_LIBRARY_PATH": "/a:/b"},
        {"LD_PRELOAD": "/x.so:/y.so", "LD_LIBRARY_PATH": "/a"},
    ],
)
def test_a_bare_environment_is_the_one_before_the_shims(
    folder: Path, inherited: dict[str, str]
) -> None:
    shimmed = cuda_environment(folder, Path("/driver"), inherited)
    shimmed = hip_environment(folder, RUNTIME, COMGR, shimmed)
    shimmed |= GLOBAL_SCHEDULER | AUTO_XQUEUE | LEVEL_3_BY_TSG | {"XSCHED_POLICY": "HPF"}
    assert without_shim(shimmed, folder) == inherited


def test_a_bare_environment_has_no_other_builds_shim_either(folder: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "other")
    inherited = {"LD_LIBRARY_PATH": f"{other}:/a", "LD_PRELOAD": f"{other}/libshimhip.so /x.so"}
    for known in (folder, None):
        bare = {"LD_LIBRARY_PATH": "/a", "LD_PRELOAD": "/x.so"}
        assert without_shim(inherited, known) == bare


@pytest.mark.parametrize("shim", ["libshimcuda.so", "libshimhip.so"])
def test_another_build_is_known_by_either_shim(folder: Path, tmp_path: Path, shim: str) -> None:
    (tmp_path / shim).write_text("")
    assert without_shim({"LD_LIBRARY_PATH": f"{tmp_path}:/a"}, folder) == {"LD_LIBRARY_PATH": "/a"}


def test_a_folder_is_known_by_any_of_its_names(folder: Path) -> None:
    path = f"{folder}/../lib/:/a"
    assert without_shim({"LD_LIBRARY_PATH": path}, folder) == {"LD_LIBRARY_PATH": "/a"}
