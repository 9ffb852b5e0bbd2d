"""A warm parent: a process that has imported a trial's libraries and built its models, on the CPU,
and forks the trial's processes. It must never touch the GPU, for a context does not survive a fork.
Run by `runner.platforms.gpu.warm.WarmParent`; its one argument is JSON, the arguments of `serve`.
"""

import gc
import importlib
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models import CATALOG, ModelSpec
from xsched_bindings.host.processes import die_with_parent
from xsched_bindings.host.warm import Spec
from xsched_bindings.host.warm_server import WarmServer, loader

#: What a process that has started CUDA holds open.
DEVICE_FILES = "/dev/nvidia"


def build_model(spec: Spec) -> Any:
    """The model of a specification, in memory that forks share; None of bare commands."""
    import torch

    torch.set_num_threads(1)
    from models.build import build
    from runner.platforms.gpu import session, torch_device  # noqa: F401  # what forks will import

    hasattr(torch, "_inductor")  # which the profiler's first start does: it imports for 3 s
    model = ModelSpec(**spec)
    return None if CATALOG[model.name].bare else build(model)


class _WarmParent(WarmServer):
    def describe(self, made: Any, seconds: float) -> dict[str, Any]:
        if trouble := unfit():
            raise RuntimeError(trouble)
        gc.collect()
        gc.freeze()  # a collection in a fork would copy what it looks at
        return super().describe(made, seconds)

    def prepare(
        self, question: dict[str, Any], fds: Sequence[int]
    ) -> tuple[Callable[[], None], dict[str, Any]]:
        """A process of the trial. numbers: under which it will find the descriptors."""
        module = importlib.import_module(question["module"])
        if trouble := unfit():
            raise RuntimeError(trouble)

        def run() -> None:
            renumber(fds, question["numbers"])
            os.environ.clear()
            os.environ.update(question["environment"])
            module.main(question["argument"])

        return run, {}


def unfit() -> str:
    """Why this process must not be forked, "" if it may be."""
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads > 1:
        return f"it has {threads} threads, and forks of such a process hang"
    for fd in Path("/proc/self/fd").iterdir():
        # The listing's own has gone by now.
        if fd.exists() and str(file := fd.readlink()).startswith(DEVICE_FILES):
            return f"a library has started the GPU ({file} is open), which no fork could use"
    return ""


def renumber(fds: Sequence[int], numbers: Sequence[int]) -> None:
    """Give these descriptors other numbers, in a process that needs no others of those."""
    above = max(*numbers, *fds) + 1
    copies = [os.dup2(fd, above + place) for place, fd in enumerate(fds)]
    for fd in fds:
        os.close(fd)
    for copy, number in zip(copies, numbers, strict=True):
        os.dup2(copy, number)
        os.close(copy)


def serve(load: str, control: int) -> None:
    """The warm parent's main function."""
    die_with_parent()
    _WarmParent(loader(load), socket.socket(fileno=control)).run()


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
