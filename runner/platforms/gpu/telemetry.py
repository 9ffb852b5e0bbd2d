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
#: In the file's metadata: the GPU's index, and from the monotonic clock to the time of day.
GPU, EPOCH_NS = b"gpu", b"epoch_ns"
#: Columns and units by the names of MLflow's own GPU monitor, which lacks the last two; its
#: megabytes are decimal.
SYSTEM_METRICS = {
    "utilization_percentage": ("utilization_percent", 1),
    "power_usage_watts": ("power_w", 1),
    "memory_usage_megabytes": ("memory_used_mib", MIB / 1e6),
    "sm_clock_mhz": ("sm_clock_mhz", 1),
    "temperature_celsius": ("temperature_c", 1),
}


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
        said = {GPU: str(self._gpu), EPOCH_NS: str(self._epoch_ns)}
        pq.write_table(pa.Table.from_pylist(rows, TELEMETRY.with_metadata(said)), path)


def system_metrics(path: Path) -> list[tuple[str, float, int, int]]:
    """What telemetry.parquet holds as (name, value, time of day in ms, step) for MLflow's page of
    system metrics; nothing of a file that is not there or does not tell the time of day."""
    if not path.is_file():
        return []
    table = pq.read_table(path)
    said = table.schema.metadata or {}
    if EPOCH_NS not in said:
        return []
    gpu, epoch_ns = said[GPU].decode(), int(said[EPOCH_NS])
    return [
        (f"system/gpu_{gpu}_{name}", row[column] * scale, (row["at_ns"] + epoch_ns) // 10**6, step)
        for step, row in enumerate(table.to_pylist())
        for name, (column, scale) in SYSTEM_METRICS.items()
        if row[column] is not None
    ]
