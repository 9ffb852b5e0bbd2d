"""What a GPU did while a run went on: sampled by a thread of the parent, which never forks."""

import statistics
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runner.platforms.device import GpuSample, Spread, TelemetrySummary
from runner.platforms.gpu.management.base import MIB, Management

#: A driver that hangs delays a run by this much, twice.
PATIENCE_S = 5.0
FIGURES = (
    "sm_clock_mhz",
    "memory_clock_mhz",
    "power_w",
    "temperature_c",
    "utilization_percent",
    "memory_used_mib",
)
#: phase: before, during or after the run. at_ns: monotonic clock. throttle: null if not told.
TELEMETRY = pa.schema(
    [
        ("phase", pa.string()),
        ("at_ns", pa.int64()),
        ("sm_clock_mhz", pa.int64()),
        ("memory_clock_mhz", pa.int64()),
        ("power_w", pa.float64()),
        ("temperature_c", pa.int64()),
        ("utilization_percent", pa.int64()),
        ("memory_used_mib", pa.int64()),
        ("throttle", pa.list_(pa.string())),
    ]
)


class Telemetry:
    """One sample before, one every `every_s` seconds (> 0) during, one after a run. All come from
    one daemon thread: neither an error nor a driver that hangs reaches the run."""

    def __init__(self, management: Management, every_s: float = 1.0) -> None:
        self._management = management
        self._every_s = every_s
        self._gpu = management.info().index
        #: From the monotonic clock to the time of day.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        self._taken: list[tuple[str, GpuSample]] = []
        self._failed: list[str] = []
        self._first = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="telemetry", daemon=True)

    def start(self) -> None:
        """Returns when the sample before is taken."""
        self._thread.start()
        self._first.wait(PATIENCE_S)

    def stop(self) -> None:
        """Returns when the sample after is taken. Before the management is closed."""
        self._stopped.set()
        self._thread.join(PATIENCE_S)

    def _follow(self) -> None:
        self.take("before")
        self._first.set()
        while not self._stopped.wait(self._every_s):
            self.take("during")
        self.take("after")

    def take(self, phase: str) -> None:
        """One sample, now, by whoever calls; what goes wrong is noted."""
        try:
            self._taken.append((phase, self._management.sample()))
        except Exception as error:
            self._failed.append(repr(error))

    @property
    def samples(self) -> list[GpuSample]:
        return [sample for _, sample in self._taken]

    @property
    def _run(self) -> list[GpuSample]:
        """The samples that describe the run: all, if it was too short for one of its own."""
        return [sample for phase, sample in self._taken if phase == "during"] or self.samples

    @property
    def throttled(self) -> tuple[str, ...]:
        """The reasons seen during the run. A sample is a moment: a short one can go unseen."""
        return tuple(self._throttle_shares() or ())

    def _throttle_shares(self) -> dict[str, float] | None:
        """Of each reason the share (0 to 1) of the samples that told; None if none did."""
        told = [sample.throttle for sample in self._run if sample.throttle is not None]
        reasons = sorted({reason for throttle in told for reason in throttle})
        shares = {name: sum(name in throttle for throttle in told) / len(told) for name in reasons}
        return shares if told else None

    def summary(self) -> TelemetrySummary:
        """Figures over the samples during the run, and what surrounded it."""
        return TelemetrySummary(
            samples=len(self._taken),
            failed_samples=len(self._failed),
            error=self._failed[-1] if self._failed else "",
            **{name: self._spread(name) for name in FIGURES},
            throttle=self._throttle_shares(),
            before=self._at("before"),
            after=self._at("after"),
        )

    def _spread(self, figure: str) -> Spread | None:
        values = [getattr(sample, figure) for sample in self._run]
        told = [value for value in values if value is not None]
        if not told:
            return None
        return Spread(min(told), statistics.median_low(told), max(told))

    def _at(self, wanted: str) -> GpuSample | None:
        return next((sample for phase, sample in self._taken if phase == wanted), None)

    def write(self, path: Path) -> None:
        """telemetry.parquet: one row a sample, see TELEMETRY."""
        rows = [{"phase": phase, **asdict(sample)} for phase, sample in self._taken]
        pq.write_table(pa.Table.from_pylist(rows, TELEMETRY), path)

    def metrics(self) -> list[tuple[str, float, int, int]]:
        """(name, value, time of day in ms, step) for MLflow's page of system metrics, named as
        MLflow's own GPU monitor does; the last two of a sample are not among its own."""
        return [
            (f"system/gpu_{self._gpu}_{name}", value, at_ms, step)
            for step, sample in enumerate(self.samples)
            for at_ms in [(sample.at_ns + self._epoch_ns) // 10**6]
            for name, value in _system_metrics(sample).items()
            if value is not None
        ]


def _system_metrics(sample: GpuSample) -> dict[str, float | None]:
    used = sample.memory_used_mib
    return {
        "utilization_percentage": sample.utilization_percent,
        "power_usage_watts": sample.power_w,
        # MLflow's megabytes are decimal.
        "memory_usage_megabytes": None if used is None else used * MIB / 1e6,
        "sm_clock_mhz": sample.sm_clock_mhz,
        "temperature_celsius": sample.temperature_c,
    }
