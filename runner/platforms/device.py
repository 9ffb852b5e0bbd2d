"""What is known of a device: before, during and after a run. None is what nobody tells."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GpuInfo:
    """Text is "" where the library does not tell. pci: as Linux writes it, 0000:3b:00.0.
    compute_capability: (9, 0), None for AMD. architecture: sm_90, gfx942."""

    vendor: str
    index: int
    name: str
    uuid: str
    pci: str
    driver: str
    compute_capability: tuple[int, int] | None
    architecture: str
    memory_mib: int | None


@dataclass(frozen=True)
class GpuSample:
    """One moment; None is what the hardware does not tell. at_ns: `time.monotonic_ns`. Power is of
    the board or socket, utilisation the share of the last moments (up to 1 s) with any kernel on
    the GPU, temperature the GPU's own (AMD: hottest spot), memory with the driver's own share.
    throttle: what holds the clock down at this moment, in the vendor's words; () is nothing."""

    at_ns: int
    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_w: float | None
    temperature_c: int | None
    utilization_percent: int | None
    memory_used_mib: int | None
    throttle: tuple[str, ...] | None


@dataclass(frozen=True)
class GpuSettings:
    """What can disturb a measurement; None is what the library does not tell. compute_mode:
    default, exclusive or prohibited. mig_mode: split into parts (AMD: a compute partition other
    than SPX). NVML does not tell locked clocks, AMD SMI knows no applications clocks."""

    persistence_mode: bool | None
    compute_mode: str | None
    mig_mode: bool | None
    ecc: bool | None
    power_limit_w: float | None
    default_power_limit_w: float | None
    max_sm_clock_mhz: int | None
    applications_sm_clock_mhz: int | None
    clocks_locked: bool | None


@dataclass(frozen=True)
class TorchBuild:
    """The installed PyTorch, and the version of CUDA or HIP that it is built for."""

    version: str = ""
    cuda: str | None = None
    hip: str | None = None


@dataclass(frozen=True)
class DeviceOrigin:
    """The device and its libraries, for provenance.json. device_cores: of the host platform; the
    rest is a GPU's. xsched_libraries: SHA-256 by file name."""

    device_cores: tuple[int, ...] | None = None
    gpu: GpuInfo | None = None
    settings: GpuSettings | None = None
    torch: TorchBuild | None = None
    xsched_libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """Of a figure's samples during a run; median: a measured value."""

    min: float
    median: float
    max: float


@dataclass(frozen=True)
class TelemetrySummary:
    """What a GPU's management library told during the run; None is what it did not. throttle: of
    each reason the share of the samples that gave it. before, after: the sample around the run."""

    samples: int = 0
    failed_samples: int = 0
    error: str = ""
    sm_clock_mhz: Spread | None = None
    memory_clock_mhz: Spread | None = None
    power_w: Spread | None = None
    temperature_c: Spread | None = None
    utilization_percent: Spread | None = None
    memory_used_mib: Spread | None = None
    throttle: dict[str, float] | None = None
    before: GpuSample | None = None
    after: GpuSample | None = None


@dataclass(frozen=True)
class DeviceFacts:
    """Of the device around the window, for summary.json; nothing is known of CPU cores.
    foreign_processes: that used it beside ours. throttled: reasons that held its clock down."""

    telemetry: TelemetrySummary | None = None
    foreign_processes: tuple[str, ...] = ()
    throttled: tuple[str, ...] = ()
