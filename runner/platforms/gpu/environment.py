"""The variables of processes on a GPU: with XSched and its shim, or with no trace of them."""

import os
from functools import cached_property
from pathlib import Path

from runner.platforms.gpu import mps, rocm
from runner.platforms.gpu.rocm import NoRocm, Rocm
from runner.platforms.gpu.vendors import VENDORS
from xsched_bindings import companion as hip_companion
from xsched_bindings import library, shim
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.library import find

#: Of the shell, what would change which GPU number 0 is under ``HIP_VISIBLE_DEVICES``; AMD SMI,
#: which the parent asks, follows none of them.
OTHERS_OF_HIP = ("ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES")
#: Of the shell, what would have launches wait for each other, or share the way to the GPU.
SERIAL = {
    *("CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS"),
    *("HIP_LAUNCH_BLOCKING", "AMD_SERIALIZE_KERNEL", "AMD_SERIALIZE_COPY"),
}
#: Streams that share a hardware queue wait for each other, whatever their priority.
HARDWARE_QUEUES = "GPU_MAX_HW_QUEUES"
#: Where drivers put libcuda.so.1, beside the loader's own cache: containers, WSL, Tegra.
DRIVER_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/cuda/compat",
    "/usr/lib/wsl/lib",
)


class Environment:
    """home, hardware_queues, companion: see `runner.platforms.gpu.platform.GpuPlatform`."""

    def __init__(self, name: str, home: str | None, hardware_queues: int, companion: bool) -> None:
        self.home = home
        self._name, self._hardware_queues = name, hardware_queues
        self._companion = companion and name == "hip"

    def of(
        self,
        chosen: str,
        xsched: bool,
        shim_in_place: bool = True,
        tsg: bool = False,
        shared: bool = False,
    ) -> dict[str, str]:
        """All variables of a process that sees one GPU and no other: XSched and its shim, or
        neither.

        chosen: the GPU, as the vendor's variable has it. tsg: level 3 by XSched's TSG
        implementation. shared: MPS may be between. Raises, if xsched is asked for,
        `LibraryNotFound` if it is not there, `rocm.NoRocm`, and what `companion.build` does."""
        folder = self._library_folder()
        if xsched and folder is None:
            find(self.home)  # raises, and says where it looked
        variables = self._without_xsched(folder)
        if xsched:
            variables |= self._real_libraries()
            if shim_in_place and folder is not None:
                variables = self._with_shim(folder, variables)
            # XSched's log goes to stderr and from there into the reason of a failed run.
            variables |= shim.APP_MANAGED_SCHEDULER | {"XLOG_LEVEL": "INFO"}
            if tsg:
                variables |= shim.LEVEL_3_BY_TSG
        if self._name == "cuda":
            variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            if not shared:
                variables[mps.PIPES] = mps.NOWHERE
        return variables | {VENDORS[self._name].visible: chosen}

    def _without_xsched(self, folder: Path | None) -> dict[str, str]:
        """What every arm's processes have in common."""
        ours = {name: text for name, text in os.environ.items() if name not in SERIAL}
        variables = shim.without_shim(ours, folder)
        if self._name == "cuda":
            return {name: text for name, text in variables.items() if name not in mps.CLIENTS}
        kept = {name: text for name, text in variables.items() if name not in OTHERS_OF_HIP}
        return kept | {HARDWARE_QUEUES: str(self._hardware_queues)}

    def _real_libraries(self) -> dict[str, str]:
        """XSched itself looks for the driver in few places, with its shim or without."""
        if self._name == "hip":
            return shim.hip_libraries(self.rocm.runtime, self.rocm.comgr)
        real = driver()
        return {"XSCHED_CUDA_LIB": str(real), "CUXTRA_CUDA_LIB": str(real)} if real else {}

    def _with_shim(self, folder: Path, variables: dict[str, str]) -> dict[str, str]:
        if self._name == "cuda":
            return shim.cuda_environment(folder, driver(), variables)
        beside = hip_companion.build() if self._companion else None
        return shim.hip_environment(folder, self.rocm.runtime, self.rocm.comgr, variables, beside)

    @property
    def rocm(self) -> Rocm:
        """What PyTorch loads. Raises `rocm.NoRocm`."""
        if isinstance(self._rocm, NoRocm):
            raise self._rocm
        return self._rocm

    @cached_property
    def _rocm(self) -> Rocm | NoRocm:
        """Asked once, for it takes as long as an import of PyTorch."""
        try:
            return rocm.of_torch(self._without_xsched(self._library_folder()))
        except NoRocm as error:
            return error

    def _library_folder(self) -> Path | None:
        try:
            return find(self.home)
        except LibraryNotFound:
            return None

    def checksums(self) -> dict[str, str]:
        """SHA-256 of what of XSched such processes can load, by file name. Raises
        `LibraryNotFound`, and what `companion.build` does."""
        found = library.checksums(find(self.home))
        if self._companion:
            found[hip_companion.NAME] = library.digest(hip_companion.build())
        return found


def driver() -> Path | None:
    """The real libcuda.so.1, which the shim must find behind itself; never the shim."""
    inherited = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for folder in (*filter(None, inherited), *DRIVER_FOLDERS):
        path = Path(folder) / shim.CUDA_DRIVER
        if path.exists() and not (Path(folder) / shim.CUDA_SHIM).exists():
            return path
    return None
