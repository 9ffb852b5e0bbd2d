"""The environment of a process whose commands XSched is to see, or is not to see.

An XQueue sees only what the shim submits to it, and the shim must be in place *before the process
starts*: CUDA's stands in for the driver (found first as ``libcuda.so.1``), HIP's is preloaded.
Everything here is pure: a mapping of variables in, a new one out.

To keep variables of the caller's own shell (an ``XSCHED_POLICY``, an ``XSCHED_AUTO_XQUEUE``) out of
an experiment, build upon `without_shim`::

    bare = without_shim(os.environ, folder)
    shimmed = cuda_environment(folder, None, bare) | GLOBAL_SCHEDULER

Sources: ``protocol/include/xsched/protocol/def.h``, ``platforms/*/shim/src/shim.cpp``.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from xsched_bindings.companion import NAME as HIP_COMPANION
from xsched_bindings.errors import LibraryNotFound

CUDA_SHIM = "libshimcuda.so"
CUDA_DRIVER = "libcuda.so.1"
HIP_SHIM = "libshimhip.so"

#: Who schedules from the start; ``XSCHED_POLICY`` would override it. Nobody (the default): queues
#: run until the application suspends them.
APP_MANAGED_SCHEDULER = {"XSCHED_SCHEDULER": "APP"}
#: A running ``xserver POLICY PORT``. Without one the process ends while the library loads.
GLOBAL_SCHEDULER = {"XSCHED_SCHEDULER": "GLB"}

#: A queue for every stream from the stream's creation on (`CudaXSched.get_queue` finds it).
AUTO_XQUEUE = {"XSCHED_AUTO_XQUEUE": "ON"}

#: Level 3 on CUDA devices without a trap handler, by suspending the context of the whole process:
#: for one process a task only.
LEVEL_3_BY_TSG = {"XSCHED_CUDA_LV3_IMPL": "TSG"}


def cuda_environment(
    library_folder: Path, driver: Path | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """`inherited` with CUDA's shim in front of the driver.

    library_folder: what `xsched_bindings.library.find` returns. driver: the real ``libcuda.so.1``,
    where it is not in one of the system's folders, the only ones that XSched looks in. Raises
    `LibraryNotFound` if the folder has no ``libcuda.so.1``, or one that is not the shim."""
    stand_in, shim = library_folder / CUDA_DRIVER, library_folder / CUDA_SHIM
    if not (stand_in.exists() and shim.exists() and stand_in.samefile(shim)):
        raise LibraryNotFound(
            f"{CUDA_DRIVER}, a link to {CUDA_SHIM},",
            [library_folder],
            "Build XSched with PLATFORM_CUDA=ON and SHIM_SOFTLINK=ON (its `make cuda` does).",
        )
    environment = _with_first_on_loader_path(library_folder, inherited)
    if driver is not None:
        environment |= {"XSCHED_CUDA_LIB": str(driver), "CUXTRA_CUDA_LIB": str(driver)}
    return environment


def hip_environment(
    library_folder: Path,
    runtime: Path,
    comgr: Path,
    inherited: Mapping[str, str],
    companion: Path | None = None,
) -> dict[str, str]:
    """`inherited` with HIP's shim preloaded, and before it its companion
    (`xsched_bindings.companion.build`), whose functions must be found first.

    runtime, comgr: the ``libamdhip64.so`` and ``libamd_comgr.so`` that the application itself loads
    (``platforms/hip/hal/include/xsched/hip/hal/driver.h``). Left to itself XSched takes those of
    /opt/rocm, and a process with two HIP runtimes does not work; without any the shim finds itself,
    and calls itself for ever or until the stack is gone. Raises `LibraryNotFound` if the folder has
    no shim."""
    shim = library_folder / HIP_SHIM
    if not shim.exists():
        raise LibraryNotFound(
            HIP_SHIM, [library_folder], "Build XSched with PLATFORM_HIP=ON (its `make hip` does)."
        )
    environment = _with_first_on_loader_path(library_folder, inherited)
    preloaded = [companion, shim, inherited.get("LD_PRELOAD")]
    environment["LD_PRELOAD"] = ":".join(str(each) for each in preloaded if each)
    return environment | hip_libraries(runtime, comgr)


def hip_libraries(runtime: Path, comgr: Path) -> dict[str, str]:
    """What XSched takes for the real ones, with its shim or without; see `hip_environment`."""
    return {"XSCHED_HIP_LIB": str(runtime), "XSCHED_HIP_COMGR_LIB": str(comgr)}


def without_shim(inherited: Mapping[str, str], library_folder: Path | None) -> dict[str, str]:
    """`inherited` without any shim, this folder's or another build's, and without XSched's own
    variables (``XSCHED_*``, ``XSCHED_HOME`` among them): for processes that must run bare.

    library_folder: None where no XSched was found; there may be a shim all the same."""
    environment = {
        name: value
        for name, value in inherited.items()
        if not name.startswith("XSCHED_") and name != "CUXTRA_CUDA_LIB"
    }
    folders = environment.pop("LD_LIBRARY_PATH", "").split(os.pathsep)
    bare = [folder for folder in folders if folder and not _is_shimmed(folder, library_folder)]
    if bare:
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(bare)
    preloaded = environment.pop("LD_PRELOAD", "").replace(":", " ").split()
    ours = (HIP_COMPANION, HIP_SHIM, CUDA_SHIM)
    others = [library for library in preloaded if Path(library).name not in ours]
    if others:
        environment["LD_PRELOAD"] = ":".join(others)
    return environment


def _with_first_on_loader_path(folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    # An empty entry would mean the working directory.
    entries = [str(folder), *filter(None, inherited.get("LD_LIBRARY_PATH", "").split(os.pathsep))]
    return dict(inherited) | {"LD_LIBRARY_PATH": os.pathsep.join(entries)}


def _is_shimmed(entry: str, library_folder: Path | None) -> bool:
    folder = Path(entry).resolve()
    ours = library_folder is not None and folder == library_folder.resolve()
    return ours or any((folder / name).exists() for name in (CUDA_SHIM, HIP_SHIM))
