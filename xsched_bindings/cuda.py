"""XSched on CUDA (``platforms/cuda/hal/include/xsched/cuda/hal.h``).

Alone, with torch (start it as ``LD_LIBRARY_PATH=$XSCHED_HOME/lib python alone.py``: the shim must
be in place before the process starts, see `xsched_bindings.shim`)::

    import torch
    from xsched_bindings.cuda import CudaXSched
    from xsched_bindings.library import find
    from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

    xsched = CudaXSched(find())
    xsched.set_scheduler(SchedulerType.local, PolicyType.hpf)
    stream, matrix = torch.cuda.Stream(), torch.rand(4096, 4096, device="cuda")
    with xsched.create_queue(stream.cuda_stream, PreemptLevel.block) as queue:
        queue.set_launch_config(threshold=8, batch_size=4)
        queue.hint_priority(2)
        with torch.cuda.stream(stream):
            matrix @ matrix
        stream.synchronize()
        assert queue.count() > 0, "the shim is not in place: nothing is scheduled"
"""

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
