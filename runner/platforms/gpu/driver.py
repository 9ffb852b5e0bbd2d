"""The GPU's driver and run-time compiler as this process has them, by ctypes: both vendors' under
NVIDIA's names.

PyTorch has the like since 2.9, but takes HIP's by name: where it brings a runtime of its own and
/opt/rocm is there too, that can be a second one in the process (`runner.platforms.gpu.rocm`).

Sources: ``cuda.h``, ``nvrtc.h``; ``hip/hip_runtime_api.h``, ``hip/hiprtc.h``.
"""

from collections.abc import Callable
from ctypes import CDLL, byref, c_char_p, create_string_buffer
from functools import cache
from typing import Any

import torch

from runner.platforms.gpu import rocm

AMDS_NAMES = {
    "cuDeviceGetPCIBusId": "hipDeviceGetPCIBusId",
    "cuGetErrorName": "hipDrvGetErrorName",
    "cuLaunchKernel": "hipModuleLaunchKernel",
    "cuModuleGetFunction": "hipModuleGetFunction",
    "cuModuleLoadData": "hipModuleLoadData",
    "nvrtcCompileProgram": "hiprtcCompileProgram",
    "nvrtcCreateProgram": "hiprtcCreateProgram",
    "nvrtcDestroyProgram": "hiprtcDestroyProgram",
    "nvrtcGetCUBIN": "hiprtcGetCode",
    "nvrtcGetCUBINSize": "hiprtcGetCodeSize",
    "nvrtcGetProgramLog": "hiprtcGetProgramLog",
    "nvrtcGetProgramLogSize": "hiprtcGetProgramLogSize",
}
#: As Linux writes one, with its end: 0000:3b:00.0.
PCI_BYTES = 13


def function(name: str) -> Callable[..., int]:
    """The driver's or compiler's function of NVIDIA's name; it returns 0, or an error for `check`.

    Where XSched's shim is in place, the driver's is the shim's."""
    library = _compiler() if name.startswith("nvrtc") else _driver()
    found: Callable[..., int] = library[AMDS_NAMES[name] if torch.version.hip else name]
    return found


def call(name: str, *arguments: Any) -> None:
    """Call it. Raises RuntimeError."""
    check(name, function(name)(*arguments))


def check(name: str, error: int) -> None:
    """Raises RuntimeError with the function and the error, unless that is 0."""
    if not error:
        return
    word = c_char_p()
    if not name.startswith("nvrtc"):
        function("cuGetErrorName")(error, byref(word))
    said = f" ({word.value.decode()})" if word.value else ""
    shown = AMDS_NAMES[name] if torch.version.hip else name
    raise RuntimeError(f"{shown} failed with error {error}{said}")


def pci_address() -> str:
    """Of the one visible GPU, in small letters."""
    text = create_string_buffer(PCI_BYTES)
    call("cuDeviceGetPCIBusId", text, PCI_BYTES, 0)
    return text.value.decode().lower()


@cache
def _driver() -> CDLL:
    """Raises `rocm.NoRocm` if the process has not exactly one HIP runtime."""
    return CDLL(str(rocm.here().runtime) if torch.version.hip else "libcuda.so.1")


@cache
def _compiler() -> CDLL:
    if torch.version.hip:
        return CDLL(str(rocm.here().beside(rocm.COMPILER)))
    assert torch.version.cuda is not None
    return CDLL(f"libnvrtc.so.{torch.version.cuda.partition('.')[0]}")
