"""A GPU without a GPU: the real platform, trial and proof over the double of XSched's library."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models import ModelSpec
from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.config.spec import TrialSpec
from runner.platforms.choose import settle
from runner.platforms.contract import ChildSetup
from runner.platforms.device import GpuInfo, GpuSample, GpuSettings
from runner.platforms.gpu.management.base import GpuProcess
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.gpu.session import GpuLane, GpuSession
from runner.platforms.gpu.warm import WarmParent
from tests.xsched_bindings.double import DoubleStream
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched
from xsched_bindings.interface import Queue
from xsched_bindings.types import PreemptLevel

COMMAND_US = 500
FAULT = "DOUBLE_FAULT"
#: Where processes tell the stand-in for xserver of their queues.
QUEUES = "DOUBLE_QUEUES"


class Stream:
    """Units of the probe are two commands, as on a GPU."""

    priority = 0

    def __init__(self, stream: DoubleStream) -> None:
        self.stream = stream
        self.pointer = stream.pointer
        self.requested = 0
        self.request_s = 0.0

    def submit_probe(self, units: int) -> None:
        self.stream.submit(2 * units, COMMAND_US)

    @property
    def probe_units(self) -> int:
        return (self.stream.completed() - self.requested) // 2

    def synchronize(self) -> None:
        self.stream.synchronize()


class DoubleAccelerator:
    unit_s = 2 * COMMAND_US / 1e6

    def __init__(self, folder: str, platform: str) -> None:
        self._folder, self._platform = Path(folder), platform
        self._shared: Stream | None = None

    def hints(self, ranks: int) -> list[int]:
        return [0] * ranks

    def open_stream(self, hint: int | None, default: bool) -> Stream:
        if default and self._shared:
            return self._shared
        self._shared = Stream(DoubleStream(self._folder))
        return self._shared

    def load(self, model: ModelSpec, stream: Any) -> Callable[[], None]:
        fault, requests = os.environ.get(FAULT), 0

        stream.request_s = model.size * model.work_us / 1e6

        def request() -> None:
            nonlocal requests
            requests += 1
            if requests > 12 and fault == "exit":
                print("[XSCHED ERRO @ T 1] Assertion failed: the driver said 709", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
            if requests > 12 and fault == "memory":
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
            stream.stream.submit(model.size, model.work_us)
            stream.requested += model.size
            stream.synchronize()

        return request

    def witness(self, request: Callable[[], None], stream: Any) -> tuple[int, float]:
        """Device time is the device's: how long a busy machine took over it does not count."""
        before = stream.stream.completed()
        request()
        return stream.stream.completed() - before, stream.request_s

    def library(self, folder: str) -> CudaXSched | HipXSched:
        return (CudaXSched if self._platform == "cuda" else HipXSched)(Path(folder))


class TellingSession(GpuSession):
    """Tells the stand-in for xserver of the process's queue, which real ones hear from XSched. With
    FAULT tighter its queues hold back more than was asked."""

    def _open_queue(self, lane: GpuLane) -> Queue:
        queue = super()._open_queue(lane)
        if os.environ.get(FAULT) == "tighter":
            queue.set_launch_config(16, 8)
        return queue

    def _asked_of_server(self) -> list[dict[str, Any]]:
        asked = super()._asked_of_server()
        if folder := os.environ.get(QUEUES):
            for task in asked:
                told = {k: v for k, v in task.items() if k != "task"} | {"device": 1}
                Path(folder, str(task["pid"])).write_text(json.dumps(told))
        return asked


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> GpuSession:
    details = start["details"]
    device = DoubleAccelerator(details["double"], details["platform"])
    return TellingSession(trial, tasks, details, device, say)


class DoubleManagement:
    """What NVML would say. others: processes on the GPU beside ours."""

    def __init__(self, capability: tuple[int, int], others: list[GpuProcess]) -> None:
        self.capability, self.others = capability, others

    def info(self) -> GpuInfo:
        return GpuInfo(
            "nvidia", 0, "Double", "GPU-double", "0000:00:00.0", "1", self.capability, "sm", 1
        )

    def sample(self) -> GpuSample:
        return GpuSample(time.monotonic_ns(), 1000, 2000, 100.0, 50, 99, 10, ("hw_slowdown",))

    def processes(self) -> list[GpuProcess]:
        return self.others

    def settings(self) -> GpuSettings:
        return GpuSettings(True, "default", False, True, 700.0, 700.0, 1980, None, None)

    def close(self) -> None: ...


class DoublePlatform(GpuPlatform):
    """The CUDA platform, but for what needs a GPU. folder: the double's libraries."""

    def __init__(
        self,
        folder: Path,
        capability: tuple[int, int] = (9, 0),
        others: list[GpuProcess] | None = None,
        name: str = "cuda",
        mps: str = "auto",
        **variables: str,
    ) -> None:
        super().__init__(name, home=str(folder.parent), mps=mps)
        self._folder = folder
        self._double = DoubleManagement(capability, others or [])
        self._variables = variables

    def no_gpu(self) -> str:
        return ""

    def _wrong_torch(self) -> str:
        return ""

    def _management(self) -> Any:
        return self._double

    def warm_parent(self, environment: Mapping[str, str], folder: Path) -> WarmParent:
        return WarmParent(environment, folder, "tests.runner.gpu_double:load")

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        return [
            replace(
                setup,
                environment={**setup.environment, **self._variables},
                details=setup.details | {"double": str(self._folder)},
                module="tests.runner.gpu_double",
            )
            for setup in super().children(trial)
        ]


def trial(platform: DoublePlatform, **changes: Any) -> TrialSpec:
    """One urgent task that comes and goes, two that always want the device."""
    config = Config()
    config.platform.name = platform.name
    config.platform.placement = changes.pop("placement", "threads")
    config.xsched.threshold = changes.pop("threshold", 8)
    config.platform.mps = changes.pop("mps", "auto")
    config.arm.name = changes.pop("arm", "xsched")
    config.xsched.level = PreemptLevel[changes.pop("level", "block")]
    config.xsched.cuda_lv3 = changes.pop("cuda_lv3", "trap")
    config.xsched.on_unsupported_level = changes.pop("unsupported", "error")
    config.xsched.scheduler = changes.pop("scheduler", "auto")
    config.task_set.requests = changes.pop("requests", 10)
    config.warmup = 1
    config.limit_s = 20
    assert not changes
    model = ModelOverride(name="synthetic", size=20, work_us=500)
    config.task_set.tasks = {
        "urgent": TaskConfig(priority=2, model=model),
        "low-1": TaskConfig(priority=1, model=model),
        "low-2": TaskConfig(priority=1, model=model),
    }
    config.task_set.tasks["urgent"].arrival.process = "jitter"
    config.task_set.tasks["urgent"].arrival.load = 0.3
    return settle(config, resolve(config), platform)


def load(spec: Any) -> None:
    """What a warm parent has of a model."""


def main(argument: str) -> None:
    from runner.platforms.kinds import cuda, hip
    from runner.trial import child

    cuda.open_session = hip.open_session = open_session  # type: ignore[assignment]
    child.main(argument)


if __name__ == "__main__":
    main(sys.argv[1])
