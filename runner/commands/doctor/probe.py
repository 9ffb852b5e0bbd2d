"""A process of the doctor's: ``python -m runner.doctor.probe PLATFORM FOLDER``.

It launches one kernel on a stream of its own with an XQueue on it, and says by how many the queue's
count grew. Whether the shim is in place is its parent's choice.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.platforms.gpu.accelerator import QueueMaker
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

CYCLES = 1000


def main() -> None:
    import torch

    platform, folder = sys.argv[1:]
    cuda: Any = torch.cuda  # ROCm's PyTorch says cuda too; not all of it has types
    cuda.set_device(0)
    # The context that XSched needs; and a first launch does more than launch.
    cuda._sleep(CYCLES)
    cuda.synchronize()
    stream = cuda.Stream()

    def launch() -> None:
        with cuda.stream(stream):
            cuda._sleep(CYCLES)
        stream.synchronize()

    library = (CudaXSched if platform == "cuda" else HipXSched)(Path(folder))
    counted = count(library, int(stream.cuda_stream), launch)
    print(json.dumps({"launched": 1, "counted": counted}))


def count(library: QueueMaker, stream: int, launch: Callable[[], None]) -> int:
    """Commands that a new queue on `stream` sees of what `launch` does."""
    library.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
    queue = library.create_queue(stream, PreemptLevel.block)
    try:
        before = queue.count()
        launch()
        return queue.count() - before
    finally:
        queue.close()


if __name__ == "__main__":
    main()
