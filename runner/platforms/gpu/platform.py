"""NVIDIA and AMD GPUs, parent's side: what is there, a trial's processes and its server, and what
is observed of the device around the window. Never imports torch."""

import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from runner.config.arms import Arm
from runner.config.errors import UserError
from runner.config.schema import XSCHEDS_POLICIES, Config
from runner.config.spec import TrialSpec
from runner.platforms.contract import ChildSetup, Observations, Platform, Session
from runner.platforms.device import DeviceFacts, DeviceOrigin, GpuInfo
from runner.platforms.gpu import allocation, installed_torch, mps, warm, xserver
from runner.platforms.gpu.environment import Environment
from runner.platforms.gpu.management.base import (
    Management,
    NoGpu,
    NoManagement,
    foreign,
    own_pids,
)
from runner.platforms.gpu.management.open import opened
from runner.platforms.gpu.mps import MpsDaemon
from runner.platforms.gpu.rocm import NoRocm
from runner.platforms.gpu.several import cores_of
from runner.platforms.gpu.telemetry import Telemetry
from runner.platforms.gpu.vendors import VENDORS
from runner.platforms.gpu.warm import WarmParent, WarmTrial
from runner.platforms.gpu.xserver import XServer
from runner.platforms.machine import lift_limit
from runner.platforms.start import afresh
from xsched_bindings.capability import HIP_LEVELS, cuda_levels
from xsched_bindings.errors import DeviceLost, LibraryNotFound
from xsched_bindings.library import find
from xsched_bindings.policies import POLICIES
from xsched_bindings.types import PreemptLevel

MPS = "mps"
TELEMETRY = "telemetry.parquet"


def open_platform(config: Config) -> Platform:
    """The GPU that a configuration names."""
    return GpuPlatform(
        config.platform.name,
        config.platform.device,
        home=config.xsched.home,
        server=config.platform.server,
        mps=config.platform.mps,
        hardware_queues=config.platform.hardware_queues,
        companion=config.xsched.companion,
        cores=cores_of(config),
    )


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> Session:
    """The session over this process's GPU."""
    from runner.platforms.gpu.session import GpuSession
    from runner.platforms.gpu.torch_device import TorchDevice

    details = start["details"]
    device = TorchDevice(details["platform"], trial.probe_work_us, details["pci"])
    return GpuSession(trial, tasks, details, device, say)


class GpuPlatform:
    """One GPU. device: its number by PCI bus, or its UUID. home: the XSched installation, see
    `xsched_bindings.library.find`. server: host:port of a running xserver. mps: what is asked of
    MPS: auto, on or off. cores: the CPU cores of its trials, empty for all. hardware_queues: of a
    process, on AMD. companion: whether HIP's shim has one (`xsched_bindings.companion`)."""

    policies = tuple(name for name in XSCHEDS_POLICIES if name in POLICIES)
    device_cores: Sequence[int] = ()

    def __init__(
        self,
        name: str,
        device: str = "0",
        home: str | None = None,
        server: str | None = None,
        mps: str = "auto",
        hardware_queues: int = 8,
        companion: bool = True,
        cores: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.vendor = VENDORS[name]
        self.variables = Environment(name, home, hardware_queues, companion)
        self._cores = list(cores)
        self._device, self._server_address = device, server
        self._asked_mps = mps
        self._server: XServer | None = None
        #: Whether this trial's processes share the GPU through MPS, and our own daemon for them.
        self._shares = False
        self._mps: MpsDaemon | None = None
        self._telemetry: Telemetry | None = None
        #: Why nobody observes the GPU in this window, "" if somebody does.
        self._unobserved = ""
        self._foreign: dict[int, str] = {}
        #: Warm parents, with the shim in place and without, and this trial's session with one.
        self._parents: dict[bool, WarmParent] = {}
        self._forks: WarmTrial | None = None
        #: Why this trial has none, and why none can be had in this sweep.
        self._afresh = ""
        self._cannot_fork = "" if self.vendor.forks else "not tried on AMD yet"

    # --- what is there ---------------------------------------------------------------------------

    @property
    def placements(self) -> tuple[str, ...]:
        """A process each where MPS can be had: no interpreter is shared, no throughput lost, and
        the urgent tasks' tail is the shortest (measured: docs/results/placements_h100.md)."""
        wanted = self.name == "cuda" and self._asked_mps != "off"
        shared = wanted and (self.mps_runs() or not mps.unavailable())
        return ("processes", "threads") if shared else ("threads", "processes")

    def no_gpu(self) -> str:
        node = self.vendor.device_node
        return "" if Path(node).exists() else f"no {self.vendor.name} GPU here ({node} is missing)"

    def missing(self, trial: TrialSpec) -> str:
        if reason := self.no_gpu():
            return f"{reason}; platform=host runs everywhere"
        if reason := self._wrong_torch():
            return reason
        try:
            self._management()
        except NoManagement as error:
            if self.vendor.needs_management or isinstance(error, NoGpu):
                return str(error)
        if not trial.uses_xsched:
            return ""
        if trial.takes_time_slices and len(trial.tasks) == 1:
            return (
                "xsched.cuda_lv3=tsg takes a process's time slice of the GPU away, which stops it "
                "only beside another task: xsched.level=block, or more tasks than one"
            )
        try:
            folder = find(self.variables.home)
            self.environment(xsched=True, shim_in_place=trial.shim)
        except (LibraryNotFound, NoRocm) as error:
            return str(error)
        binary = xserver.binary(folder)
        if self._needs_server(trial) and not self._server_address and not binary.exists():
            return (
                f"placement processes needs XSched's server, and {binary} does not exist; give the "
                "address of a running one as platform.server"
            )
        return ""

    def _wrong_torch(self) -> str:
        build = installed_torch.build()
        if build.hip if self.name == "hip" else build.cuda:
            return ""
        return f"this PyTorch ({build.version or 'none'}) is not built for {self.vendor.name}"

    def _management(self) -> Management:
        return opened(self.vendor.key, self._real)

    @property
    def _real(self) -> str:
        """The driver's own number, or the UUID. Raises `NoGpu` for one that was not given to us."""
        return allocation.real(self.name, self._device)

    def info(self) -> GpuInfo | None:
        """What is known of the GPU; None without the vendor's management library."""
        try:
            return self._management().info()
        except NoManagement:
            return None

    def no_arm(self, arm: Arm, placement: str) -> str:
        if arm.needs_mps:
            return "platform.mps=off" if self._asked_mps == "off" else self._no_clients(placement)
        if arm.needs_one_process and placement == "processes":
            return (
                f"it needs all tasks in one process, and in placement {placement} each has its own"
            )
        return ""

    def levels(self, placement: str, cuda_lv3: str) -> tuple[PreemptLevel, ...]:
        if self.name == "hip":
            return HIP_LEVELS
        info = self.info()
        if info is None or info.compute_capability is None:
            return tuple(PreemptLevel)  # nothing is known; `missing` says why
        if cuda_lv3 == "tsg" and placement != "processes":
            return (PreemptLevel.block,)
        return cuda_levels(info.compute_capability, tsg=cuda_lv3 == "tsg")

    def uses_mps(self, asked: str, trial: TrialSpec) -> bool:
        reason = self._no_mps(trial) if asked != "off" else ""
        if asked == "on" and reason:
            raise UserError("platform.mps", asked, reason, ["auto", "off"])
        return asked != "off" and not reason

    def _no_mps(self, trial: TrialSpec) -> str:
        """Why these processes cannot share the GPU through MPS, "" if they can."""
        if trial.uses_xsched and trial.cuda_lv3 == "tsg":
            return "xsched.cuda_lv3=tsg suspends a whole context, which all processes would share"
        return self._no_clients(trial.placement)

    def _no_clients(self, placement: str) -> str:
        """Why tasks cannot be clients of MPS, "" if they can."""
        if self.name != "cuda":
            return f"{self.vendor.name} GPUs do not have MPS"
        if not self.mps_runs() and (reason := mps.unavailable()):
            return reason
        if placement != "processes":
            return "threads share a context already; MPS needs platform.placement=processes"
        return ""

    def mps_runs(self) -> bool:
        """Whether a daemon is there already, which then is used."""
        return mps.answers(self._bare())

    @property
    def lock(self) -> str:
        info = self.info()
        return f"{self.name}-{info.uuid if info else self._device}"

    def exclusive(self, trial: TrialSpec) -> tuple[str, ...]:
        own_server = self._needs_server(trial) and not self._server_address
        return (xserver.NAME,) if own_server else ()

    def fingerprint(self, trial: TrialSpec) -> str:
        info = self.info()
        shared = " mps" if trial.mps else " processes" if trial.placement == "processes" else ""
        device = f"{self.name} {info.name if info else '?'}"
        return f"{device} torch={installed_torch.build().version or None}{shared}"

    def provenance(self) -> DeviceOrigin:
        try:
            settings = self._management().settings()
        except NoManagement:
            settings = None
        try:
            libraries = self.variables.checksums()
        except LibraryNotFound:
            libraries = {}
        return DeviceOrigin(
            gpu=self.info(),
            settings=settings,
            torch=installed_torch.build(),
            xsched_libraries=libraries,
        )

    # --- one trial -------------------------------------------------------------------------------

    def open(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None:
        if self._needs_server(trial):
            if self._server_address:
                xserver.check_policy(self._server_address, trial.policy)
            else:
                self._server = XServer(
                    xserver.binary(find(self.variables.home)), trial.policy, folder
                )
        # HIP's shim keeps a file open for every binary that PyTorch brings code in.
        lift_limit(resource.RLIMIT_NOFILE)
        self._shares = trial.mps
        if trial.mps and not self.mps_runs():
            self._mps = MpsDaemon(self._bare(), folder / MPS)
        self._warm_up(trial, folder, say)

    def _bare(self) -> dict[str, str]:
        """Variables of a process that must do without XSched and may use MPS."""
        return self.environment(xsched=False, shared=True)

    def _warm_up(self, trial: TrialSpec, folder: Path, say: Callable[[str], None]) -> None:
        """Have a warm parent with the trial's models; the trial starts afresh where none can be
        had, and says so."""
        shimmed, environment = trial.uses_xsched and trial.shim, self._environment(trial)
        models = {task.model.operators for task in trial.tasks}
        self._afresh = self._cannot_fork
        if self._afresh:
            return
        parent = self._parents.pop(shimmed, None)
        try:
            if parent is not None and not parent.serves(environment, models):
                parent.close()
                parent = None
            parent = parent or self.warm_parent(environment, folder)
            self._forks = parent.open_trial(models, say)
            self._parents[shimmed] = parent
        except (RuntimeError, OSError, psutil.Error) as error:
            self._afresh = str(error)
            if not isinstance(error, DeviceLost):
                self._cannot_fork = self._afresh
        finally:
            if parent is not None and shimmed not in self._parents:
                parent.close()

    def warm_parent(self, environment: Mapping[str, str], folder: Path) -> WarmParent:
        return WarmParent(environment, folder)

    def _needs_server(self, trial: TrialSpec) -> bool:
        return trial.uses_xsched and trial.placement == "processes"

    def children(self, trial: TrialSpec) -> list[ChildSetup]:
        tasks = sorted({index for group in trial.groups for index in group})
        parts = [tasks] if trial.placement == "threads" else [[index] for index in tasks]
        server = self._server.address if self._server else self._server_address
        details = {
            "platform": self.name,
            "library": str(find(self.variables.home)) if trial.uses_xsched else "",
            "server": server if self._needs_server(trial) else None,
            "pci": self._pci(),
        }
        environment = self._environment(trial)
        start = self._forks.fork if self._forks else afresh
        return [
            ChildSetup(
                part,
                cores=self._cores,
                environment=environment | mps.told(trial, part[0]),
                details=details,
                start=start,
            )
            for part in parts
        ]

    def _pci(self) -> str:
        """Where the GPU of the trial's processes must be, "" if nobody knows. NVIDIA's is chosen by
        its UUID, AMD's by a number that is counted by others."""
        info = self.info() if self.name == "hip" else None
        return info.pci if info else ""

    def _environment(self, trial: TrialSpec) -> dict[str, str]:
        tsg = trial.cuda_lv3 == "tsg"
        variables = self.environment(trial.uses_xsched, trial.shim, tsg, trial.mps)
        return variables | (self._mps.variables if self._mps else {})

    def environment(
        self, xsched: bool, shim_in_place: bool = True, tsg: bool = False, shared: bool = False
    ) -> dict[str, str]:
        """All variables of a process on this GPU and no other, as `Environment.of` has them."""
        info = self.info()
        chosen = info.uuid if info and self.name == "cuda" else self._real
        return self.variables.of(chosen, xsched, shim_in_place, tsg, shared)

    def release_children(self) -> None:
        """They inherit nothing of ours."""

    def last_words(self, folder: Path) -> list[Path]:
        return [folder / xserver.LOG, folder / warm.LOG, folder / MPS / "server.log"]

    def trouble(self) -> str:
        services = (self._server, self._mps, self._forks)
        return next((each for s in services if s and (each := s.trouble())), "")

    def begin_window(self, pids: Sequence[int]) -> None:
        if self._server:
            self._server.note_shared_memory(pids)
        self._foreign, self._telemetry, self._unobserved = {}, None, ""
        try:
            management = self._management()
        except NoManagement as error:
            self._unobserved = str(error)
            return
        self._look_for_foreigners()
        self._telemetry = Telemetry(management)
        self._telemetry.start()

    def _look_for_foreigners(self) -> None:
        processes = self._management().processes()
        for other in foreign(processes, own_pids()):
            if not (self._shares and other.name.startswith(mps.SERVER[:15])):  # as /proc cuts it
                self._foreign[other.pid] = other.name or "unknown"

    def end_window(self, folder: Path) -> Observations:
        notes = []
        if self._afresh and self.vendor.forks:
            notes.append(f"the trial's processes were started afresh: {self._afresh}")
        if self._telemetry is None:
            unknown = "nobody saw the GPU's clocks, nor who else used it"
            return Observations([*notes, f"{unknown}: {self._unobserved}"])
        telemetry, self._telemetry = self._telemetry, None
        telemetry.stop()
        telemetry.write(folder / TELEMETRY)
        self._look_for_foreigners()
        others = [f"{name} ({pid})" for pid, name in sorted(self._foreign.items())]
        if others:
            notes.append(f"the GPU was not ours alone: {', '.join(others)}")
        if telemetry.throttled:
            notes.append(f"the GPU was throttled: {', '.join(telemetry.throttled)}")
        return Observations(
            notes,
            DeviceFacts(telemetry.summary(), tuple(others), telemetry.throttled),
        )

    def end_trial(self) -> None:
        if self._forks is not None:
            self._forks.close()
            self._forks = None
        if self._mps is not None:
            self._mps.stop()
            self._mps = None
        if self._server is not None:
            self._server.stop()
            self._server = None

    def close(self) -> None:
        self.end_trial()
        for parent in self._parents.values():
            parent.close()
        self._parents.clear()
