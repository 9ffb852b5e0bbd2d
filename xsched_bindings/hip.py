"""XSched on HIP (``platforms/hip/hal/include/xsched/hip/hal/hal.h``).

Used as `xsched_bindings.cuda`, with the shim preloaded (`xsched_bindings.shim.hip_environment`).
"""

from ctypes import c_void_p
from pathlib import Path

from xsched_bindings.functions import OUT_HANDLE, Signature
from xsched_bindings.library import Library
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PreemptLevel

FUNCTIONS: dict[str, Signature] = {"HipQueueCreate": {"hwq": OUT_HANDLE, "stream": c_void_p}}


class HipXSched(Library):
    """XSched for this process's HIP streams.

    stream: a ``hipStream_t`` as an integer (``torch.cuda.Stream.cuda_stream`` on ROCm), not a
    default one. There is no ``get_queue``: the HIP library has no ``HipQueueGet``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.load("libhalhip.so", FUNCTIONS)

    def create_queue(self, stream: int, level: PreemptLevel) -> LibraryQueue:
        """``HipQueueCreate`` and ``XQueueCreate``. Waits for the stream. Every level behaves as
        level 1."""
        return self.create_queue_by("HipQueueCreate", stream, level)
