"""A process of the doctor's: ``python -m runner.doctor.probe PLATFORM FOLDER WORK``.

It does one kind of work bare, on a stream of its own, and then with an XQueue on that stream. It
says how many commands the device executed, by how many the queue's count grew, and whether the
result was the same. Whether the shim is in place is its parent's choice.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.platforms.gpu.accelerator import QueueMaker
from runner.platforms.gpu.rocm import mapped
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched
from xsched_bindings.types import PolicyType, PreemptLevel, SchedulerType

#: Long against the enqueueing of one operation.
SUSPENDED_S = 0.2
#: Float16 rounds to 0.001 of a value.
RELATIVE, ABSOLUTE = 1e-2, 1e-3


@dataclass(frozen=True)
class Seen:
    """launched: commands by the vendor's tracing library, of the bare work. counted: growth of the
    queue's count. right: whether the result was that of the bare work. pci: where the GPU is, "" on
    NVIDIA, whose is chosen by its UUID. libraries: what the process had mapped in the end."""

    launched: int
    counted: int
    right: bool
    pci: str
    libraries: list[str]


def add(torch: Any) -> Callable[[], Any]:
    """PyTorch's own kernels, launched by the runtime's plain call."""
    left, right = _numbers(torch, 1 << 20), _numbers(torch, 1 << 20)
    return lambda: left + right


def matmul(torch: Any) -> Callable[[], Any]:
    """The vendor's libraries of linear algebra."""
    left, right = _numbers(torch, 512, 512), _numbers(torch, 512, 512)
    return lambda: left @ right


def attention(torch: Any) -> Callable[[], Any]:
    """Kernels that are loaded as modules."""
    query, key, value = (_numbers(torch, 1, 8, 256, 64).half() for _ in range(3))
    return lambda: torch.nn.functional.scaled_dot_product_attention(query, key, value)


def convolution(torch: Any) -> Callable[[], Any]:
    """The vendor's library of neural networks."""
    images, weights = _numbers(torch, 8, 16, 32, 32), _numbers(torch, 32, 16, 3, 3)
    return lambda: torch.nn.functional.conv2d(images, weights)


WORKS = {work.__name__: work for work in (add, matmul, attention, convolution)}


def _numbers(torch: Any, *shape: int) -> Any:
    return torch.randn(*shape).cuda()


def main() -> None:
    """Ends at once when all is said: a crash while libraries unload is no finding about queues."""
    code = 1
    try:
        platform, folder, work = sys.argv[1:]
        print(json.dumps(asdict(look(platform, Path(folder), work))))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def look(platform: str, folder: Path, work: str) -> Seen:
    import torch

    from runner.platforms.gpu import driver
    from runner.platforms.gpu.witness import witness

    torch.manual_seed(0)
    cuda: Any = torch.cuda  # ROCm's PyTorch says cuda too; not all of it has types
    cuda.set_device(0)
    operation, stream = WORKS[work](torch), cuda.Stream()
    cuda.synchronize()
    results: list[Any] = []

    def launch() -> None:
        with torch.inference_mode(), cuda.stream(stream):
            results.append(operation())
        stream.synchronize()

    launch()  # the first time does more: libraries choose kernels and get their memory
    launched = len(witness(launch).commands_s)
    library = (CudaXSched if platform == "cuda" else HipXSched)(folder)
    counted = count(library, int(stream.cuda_stream), launch)
    *_, bare, queued = (result.float().cpu() for result in results)
    right = torch.allclose(queued, bare, rtol=RELATIVE, atol=ABSOLUTE)
    pci = driver.pci_address() if platform == "hip" else ""
    libraries = map(str, mapped(Path("/proc/self/maps").read_text()))
    return Seen(launched, counted, right, pci, list(libraries))


def count(library: QueueMaker, stream: int, launch: Callable[[], None]) -> int:
    """Commands that a new queue on `stream` sees of what `launch` does. The queue is suspended for
    a moment, as in a trial: what it keeps of a command must do without the caller's memory."""
    library.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
    queue = library.create_queue(stream, PreemptLevel.block)
    try:
        before = queue.count()
        queue.suspend()
        resume = threading.Timer(SUSPENDED_S, queue.resume)
        resume.start()
        launch()
        resume.join()
        return queue.count() - before
    finally:
        queue.close()


if __name__ == "__main__":
    main()
