"""XSched on CUDA (``platforms/cuda/hal/include/xsched/cuda/hal.h``). Alone, with torch:
docs/bindings.md."""

from ctypes import c_void_p
from pathlib import Path

from xsched_bindings.functions import OUT_HANDLE, Signature
from xsched_bindings.library import Library
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PreemptLevel

FUNCTIONS: dict[str, Signature] = {
    "CudaQueueCreate": {"hwq": OUT_HANDLE, "stream": c_void_p},
    "CudaQueueGet": {"hwq": OUT_HANDLE, "stream": c_void_p},
}


class CudaXSched(Library):
    """XSched for this process's CUDA streams.

    stream: a ``CUstream`` as an integer (``torch.cuda.Stream.cuda_stream``), not a default one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.load("libhalcuda.so", FUNCTIONS)

    def create_queue(self, stream: int, level: PreemptLevel) -> LibraryQueue:
        """``CudaQueueCreate`` and ``XQueueCreate``. Waits for the stream.

        The stream's context must be current in the calling thread, or the library ends the process.
        A level above what the device can do is a success and behaves as level 1."""
        return self.create_queue_by("CudaQueueCreate", stream, level)

    def get_queue(self, stream: int) -> LibraryQueue:
        """``CudaQueueGet`` and ``XQueueGet``: the queue that ``XSCHED_AUTO_XQUEUE=ON`` made when
        the stream was created. It is destroyed with its stream, not by `close`. Raises
        `XSchedError` not_found if there is none."""
        return self.queue_on(self.hw_queue_by("CudaQueueGet", stream))
