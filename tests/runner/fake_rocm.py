"""ROCm and its PyTorch without either: libraries made with gcc, and packages that load them."""

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

#: A HIP runtime as far as `runner.platforms.gpu.driver` asks one.
RUNTIME = """
#include <string.h>
int hipDeviceGetPCIBusId(char *text, int bytes, int device) {
    strncpy(text, "0000:0C:00.0", bytes);
    return device;
}
int hipModuleLoadData(void **module, const void *code) { return 709; }
int hipDrvGetErrorName(int error, const char **name) {
    *name = error == 709 ? "hipErrorContextIsDestroyed" : "hipErrorUnknown";
    return 0;
}
"""
#: The calls that a shim must stand in for.
LAUNCHES = ("hipLaunchKernel", "hipModuleLaunchKernel", "hipExtModuleLaunchKernel")


def library(path: Path, source: str = "") -> Path:
    """A shared library of that C."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_compiled(source))
    return path


@cache
def _compiled(source: str) -> bytes:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    with TemporaryDirectory() as folder:
        made = Path(folder, "made.so")
        command = ["gcc", "-w", "-shared", "-fPIC", "-x", "c", "-o", str(made), "-"]
        subprocess.run(command, input=source, text=True, check=True)
        return made.read_bytes()


def shim(path: Path, functions: Sequence[str] = LAUNCHES) -> Path:
    """A shim that exports these functions."""
    return library(path, "".join(f"int {name}(void) {{ return 0; }}\n" for name in functions))


def rocm(folder: Path) -> list[Path]:
    """The runtime and the comgr of an installation."""
    return [
        library(folder / "libamdhip64.so.7", RUNTIME),
        library(folder / "libamd_comgr.so.3"),
    ]


def torch(site: Path, loads: Sequence[Path], hip: str | None = "7.0.2") -> Path:
    """A PyTorch in the folder of packages `site` that loads these; returns `site`."""
    package = site / "torch"
    package.mkdir(parents=True, exist_ok=True)
    lines = ["import ctypes", "from torch import version", "__version__ = version.__version__"]
    lines += [f"ctypes.CDLL({str(each)!r})" for each in loads]
    (package / "__init__.py").write_text("\n".join(lines))
    (package / "version.py").write_text(
        f"__version__ = '2.9.0+rocm7.0.2'\ncuda = None\nhip = {hip!r}\n"
    )
    return site
