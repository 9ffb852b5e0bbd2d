"""A GPU without a GPU: the real platform, trial and proof over the double of XSched's library."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from ctypes import CDLL, c_void_p
from dataclasses import replace
from itertools import cycle
from math import gcd, nan
from pathlib import Path
from typing import Any

from models import ModelSpec
from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.config.spec import TrialSpec
from runner.platforms.choose import settle
from runner.platforms.contract import ChildSetup, Wait
from runner.platforms.device import GpuInfo, GpuSample, GpuSettings
from runner.platforms.gpu.accelerator import Marked, Tie, Witnessed, Work
from runner.platforms.gpu.environment import Environment
from runner.platforms.gpu.management.base import GpuProcess
from runner.platforms.gpu.platform import GpuPlatform
from runner.platforms.gpu.rocm import NoRocm, Rocm
from runner.platforms.gpu.session import GpuSession
from runner.platforms.gpu.warm import WarmParent
from tests.xsched_bindings.double import DoubleRing, DoubleStream, misbehave
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.hip import HipXSched
from xsched_bindings.types import PreemptLevel

COMMAND_US = 500
FAULT = "DOUBLE_FAULT"
#: What a trial must find out, as NAME, or NAME@window to be honest until the window begins: one of
#: double.c's adversaries, or of `LIARS`.
ADVERSARY = "DOUBLE_ADVERSARY"
#: Where processes tell the stand-in for xserver of their queues.
QUEUES = "DOUBLE_QUEUES"

#: Marks of a request, if its commands can be divided so.
PARTS = 10
#: What comes out of a request, by its input.
RESULTS = (1.0, 2.0)
#: One request in so many is wrong. Odd, so that both inputs have their turn.
WRONG = 5
#: What requests do wrong whatever the library does.
LIARS = {
    "garbled": "some results are none that an input has",
    "stale": "some results are those of the request before",
    "no-kernels": "a request completes at once, and nothing was executed",
    "several-devices": "a launch is for several devices, and no queue holds it (hip's companion)",
    "empty-kernels": "commands leave their marks at once, and the result is what was there before",
}


class Marks(DoubleRing):
    def since(self, count: int) -> Marked:
        return Marked(*super().since(count))


class Stream:
    priority = 0

    def __init__(self, folder: Path) -> None:
        self.stream = DoubleStream(folder)
        self.pointer = self.stream.pointer
        self.probe = Marks(folder)
        self.worked_s = 0.0

    def submit_probe(self, commands: int) -> None:
        self.stream.submit(commands, COMMAND_US, self.probe, every=1)

    def synchronize(self) -> None:
        self.stream.synchronize()


class DoubleAccelerator:
    probe_s = COMMAND_US / 1e6

    def __init__(self, folder: str, platform: str) -> None:
        self._folder, self._platform = Path(folder), platform
        self._shared: Stream | None = None
        self._adversary, _, self._from = os.environ.get(ADVERSARY, "").partition("@")
        self._lie = ""
        self.reach("")

    def reach(self, moment: str) -> None:
        """Here the adversary begins, if this is its moment."""
        if not self._adversary or self._from != moment:
            return
        if self._adversary in LIARS:
            self._lie = self._adversary
        else:
            misbehave(self._folder, self._adversary)

    def hints(self, ranks: int) -> list[int]:
        return [0] * ranks

    def open_stream(self, hint: int | None, default: bool) -> Stream:
        if default and self._shared:
            return self._shared
        self._shared = Stream(self._folder)
        return self._shared

    def load(self, model: ModelSpec, stream: Any, in_flight: int = 1) -> Work:
        marks, parts = Marks(self._folder), gcd(model.size, PARTS)
        results, result, requests = cycle(RESULTS), nan, 0

        def submit() -> Wait:
            nonlocal result, requests
            requests += 1
            _fail(requests)
            before, computed = result, next(results)
            if self._lie == "no-kernels":
                return lambda: None
            empty = self._lie == "empty-kernels"
            work_us, result = (0, before) if empty else (model.work_us, computed)
            lies = {"garbled": result + 0.25, "stale": before} if requests % WRONG == 0 else {}
            told = lies.get(self._lie, result)
            stream.stream.submit(model.size, work_us, marks, model.size // parts, told)
            stream.worked_s += model.size * work_us / 1e6
            if self._lie == "several-devices":
                _launch_on_several_devices(stream.pointer)
            return stream.synchronize

        return Work(submit, marks, parts, computes=True)

    def tie(self) -> Tie:
        now_ns = time.monotonic_ns()
        return Tie(now_ns, now_ns)

    def witness(self, request: Callable[[], None], stream: Any) -> Witnessed:
        """Device time is the device's: how long a busy machine took over it does not count."""
        completed, worked_s = stream.stream.completed(), stream.worked_s
        request()
        executed, device_s = stream.stream.completed() - completed, stream.worked_s - worked_s
        return Witnessed((device_s / max(executed, 1),) * executed, device_s)

    def library(self, folder: str) -> CudaXSched | HipXSched:
        return (CudaXSched if self._platform == "cuda" else HipXSched)(Path(folder))


def _launch_on_several_devices(stream: int) -> None:
    """HIP's own list of one launch: seven words, of which the last is the stream."""
    launches = (c_void_p * 7)(0, 0, 0, 0, 0, 0, stream)
    CDLL(None).hipExtLaunchMultiKernelMultiDevice(launches, 1, 0)


def _fail(requests: int) -> None:
    """What `FAULT` does to a process after its warm-up."""
    fault = os.environ.get(FAULT)
    if requests > 12 and fault == "exit":
        print("[XSCHED ERRO @ T 1] Assertion failed: the driver said 709", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    if requests > 12 and fault == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")


class TellingSession(GpuSession):
    """Tells the stand-in for xserver of the process's queue, which real ones hear from XSched, and
    adversaries of the window."""

    def begin_window(self) -> None:
        super().begin_window()
        assert isinstance(self._device, DoubleAccelerator)
        self._device.reach("window")

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


class DoubleEnvironment(Environment):
    """no_rocm: why there is none."""

    no_rocm = ""

    @property
    def rocm(self) -> Rocm:
        if self.no_rocm:
            raise NoRocm(self.no_rocm)
        return Rocm(Path("/rocm/libamdhip64.so"), Path("/rocm/libamd_comgr.so"))


class DoublePlatform(GpuPlatform):
    """The CUDA platform, but for what needs a GPU. folder: the double's libraries. adversary: see
    `ADVERSARY`."""

    def __init__(
        self,
        folder: Path,
        capability: tuple[int, int] = (9, 0),
        others: list[GpuProcess] | None = None,
        name: str = "cuda",
        mps: str = "auto",
        adversary: str = "",
        **variables: str,
    ) -> None:
        home = str(folder.parent)
        super().__init__(name, home=home, mps=mps)
        self.variables = DoubleEnvironment(name, home, hardware_queues=8, companion=True)
        self._folder = folder
        self._double = DoubleManagement(capability, others or [])
        self._more = variables
        #: Of the next trial.
        self.adversary = adversary

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
                environment={
                    **setup.environment,
                    **self._more,
                    ADVERSARY: self.adversary,
                },
                details=setup.details | {"double": str(self._folder)},
                module="tests.runner.gpu_double",
            )
            for setup in super().children(trial)
        ]


def trial(platform: DoublePlatform, **changes: Any) -> TrialSpec:
    """One urgent task that comes and goes, two that always want the device. hints: beside the
    priority, of a task by its name."""
    config = Config()
    config.platform.name = platform.name
    config.platform.placement = changes.pop("placement", "threads")
    config.xsched.batch_size = changes.pop("batch_size", 4)
    config.xsched.timeslice_us = changes.pop("timeslice_us", 5_000)
    config.xsched.k = changes.pop("k", 1)
    config.xsched.policy = changes.pop("policy", "hpf")
    config.xsched.threshold = changes.pop("threshold", 8)
    config.platform.mps = changes.pop("mps", "auto")
    config.arm.name = changes.pop("arm", "xsched")
    config.xsched.level = PreemptLevel[changes.pop("level", "block")]
    config.xsched.cuda_lv3 = changes.pop("cuda_lv3", "trap")
    config.xsched.on_unsupported_level = changes.pop("unsupported", "error")
    config.xsched.scheduler = changes.pop("scheduler", "auto")
    config.task_set.requests = changes.pop("requests", 10)
    config.task_set.lead_in_s = 0
    config.warmup = changes.pop("warmup", 0)
    config.limit_s = changes.pop("limit_s", 20)
    hints, arrival = changes.pop("hints", {}), changes.pop("arrival", "jitter")
    assert not changes
    model = ModelOverride(name="synthetic", size=20, work_us=500)
    # Long against what a suspension lets through, so that marks show who goes on.
    longer = ModelOverride(name="synthetic", size=120, work_us=500)
    config.task_set.tasks = {
        "urgent": TaskConfig(priority=2, model=longer),
        "low-1": TaskConfig(priority=1, model=model),
        "low-2": TaskConfig(priority=1, model=model),
    }
    for task, hint in hints.items():
        vars(config.task_set.tasks[task]).update(hint)
    config.task_set.tasks["urgent"].arrival.process = arrival
    config.task_set.tasks["urgent"].arrival.load = 0.6
    return settle(config, resolve(config), platform)


def solo(spec: TrialSpec) -> dict[ModelSpec, float]:
    """What a request of each model takes alone, which need not be measured where all of it is
    made up."""
    models = {task.model for task in spec.tasks}
    return {model: model.size * model.work_us / 1e6 for model in models}


def load(spec: Any) -> None:
    """What a warm parent has of a model."""


def main(argument: str) -> None:
    from runner.platforms.kinds import cuda, hip
    from runner.trial import child

    cuda.open_session = hip.open_session = open_session
    child.main(argument)


if __name__ == "__main__":
    main(sys.argv[1])
