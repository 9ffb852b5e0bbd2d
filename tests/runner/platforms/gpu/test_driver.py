"""The driver of the process, under NVIDIA's names, over libraries made with gcc and a PyTorch that
loads them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.runner import fake_rocm

CUDA = """
#include <string.h>
int cuDeviceGetPCIBusId(char *text, int bytes, int device) {
    strncpy(text, "0000:3B:00.0", bytes);
    return device;
}
int cuModuleLoadData(void **module, const void *code) { return 209; }
int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_NO_BINARY"; return 0; }
"""
NVRTC = "int nvrtcGetCUBINSize(void *program, unsigned long *size) { return 5; }"


def python(program: str, *packages: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(map(str, [*packages, ROOT]))
    return subprocess.run(
        [sys.executable, "-c", f"import torch\n{program}"],
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
    )


PCI = "from runner.platforms.gpu import driver; print(driver.pci_address())"


def test_the_driver_is_the_runtime_that_is_there_already(tmp_path: Path) -> None:
    """Where the loader would find another one, or none, by its name."""
    site = fake_rocm.torch(tmp_path / "site", fake_rocm.rocm(tmp_path / "wheel"))
    done = python(PCI, site)
    assert done.stdout == "0000:0c:00.0\n", done.stderr


def test_two_runtimes_end_a_trials_process_with_their_places(tmp_path: Path) -> None:
    loads = [*fake_rocm.rocm(tmp_path / "wheel"), *fake_rocm.rocm(tmp_path / "opt")]
    done = python(PCI, fake_rocm.torch(tmp_path / "site", loads))
    assert "2 copies of libamdhip64.so in one process" in done.stderr
    assert "error 709" in done.stderr


def test_an_error_of_the_driver_has_amds_name_and_number(tmp_path: Path) -> None:
    site = fake_rocm.torch(tmp_path / "site", fake_rocm.rocm(tmp_path / "wheel"))
    program = (
        "from ctypes import byref, c_void_p\n"
        "from runner.platforms.gpu import driver\n"
        "driver.call('cuModuleLoadData', byref(c_void_p()), b'')"
    )
    done = python(program, site)
    said = "RuntimeError: hipModuleLoadData failed with error 709 (hipErrorContextIsDestroyed)"
    assert done.stderr.splitlines()[-1] == said


def test_on_nvidia_the_names_are_nvidias(tmp_path: Path) -> None:
    site = fake_rocm.torch(tmp_path / "site", [], hip=None)
    (site / "torch" / "version.py").write_text("__version__ = '2'\ncuda = '13.0'\nhip = None\n")
    fake_rocm.library(tmp_path / "cuda" / "libcuda.so.1", CUDA)
    fake_rocm.library(tmp_path / "cuda" / "libnvrtc.so.13", NVRTC)
    variables = {"LD_LIBRARY_PATH": str(tmp_path / "cuda")}
    done = python(PCI, site, **variables)
    assert done.stdout == "0000:3b:00.0\n", done.stderr
    for arguments, said in (
        ("'cuModuleLoadData', None, None", "209 (CUDA_ERROR_NO_BINARY)"),
        ("'nvrtcGetCUBINSize', None, None", "5"),
    ):
        done = python(
            f"from runner.platforms.gpu import driver; driver.call({arguments})", site, **variables
        )
        name = arguments.split("'")[1]
        assert done.stderr.splitlines()[-1] == f"RuntimeError: {name} failed with error {said}"
