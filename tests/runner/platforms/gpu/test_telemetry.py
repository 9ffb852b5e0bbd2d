import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from runner.platforms.device import GpuInfo, GpuSample, GpuSettings, Spread
from runner.platforms.gpu import telemetry
from runner.platforms.gpu.management.base import GpuProcess
from runner.platforms.gpu.telemetry import TELEMETRY, Telemetry, system_metrics

EVERY_S = 0.01


def sample(
    clock: int | None = 1500, throttle: tuple[str, ...] | None = (), at_ns: int = 1_000
) -> GpuSample:
    return GpuSample(at_ns, clock, 2619, 400.5, 60, 99, 1000, throttle)


class FakeGpu:
    """Gives the samples in order, then the last for ever. An error among them is raised."""

    def __init__(self, *script: GpuSample | Exception) -> None:
        self.script = list(script)
        self.asked = 0
        self.asked_enough = threading.Event()
        self.threads: set[threading.Thread] = set()

    def info(self) -> GpuInfo:
        return GpuInfo("nvidia", 3, "fake", "", "", "", None, "", None)

    def sample(self) -> GpuSample:
        self.threads.add(threading.current_thread())
        step = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        if self.asked >= len(self.script) - 1:
            self.asked_enough.set()
        if isinstance(step, Exception):
            raise step
        return step

    def processes(self) -> list[GpuProcess]:
        raise NotImplementedError

    def settings(self) -> GpuSettings:
        raise NotImplementedError

    def close(self) -> None: ...


def followed(*script: GpuSample | Exception) -> Telemetry:
    """A run over the whole script: the first before, the last after (and maybe once during)."""
    gpu = FakeGpu(*script)
    followed = Telemetry(gpu, EVERY_S)
    followed.start()
    assert gpu.asked_enough.wait(20)
    followed.stop()
    return followed


def scripted(*script: GpuSample) -> Telemetry:
    """Exactly these samples, first and last outside the run; no thread and no clock."""
    made = Telemetry(FakeGpu(*script))
    for at in range(len(script)):
        phase = "before" if at == 0 else "after" if at == len(script) - 1 else "during"
        made.take(phase)
    return made


def phases(run: Telemetry, folder: Path) -> list[str]:
    run.write(folder / "telemetry.parquet")
    return list(pq.read_table(folder / "telemetry.parquet").column("phase").to_pylist())


def test_one_sample_before_one_after_and_some_during(tmp_path: Path) -> None:
    gpu = FakeGpu(sample())
    run = Telemetry(gpu, every_s=60)
    run.start()
    assert gpu.asked == 1
    run.stop()
    assert gpu.asked == 2
    assert phases(run, tmp_path) == ["before", "after"]

    often = followed(*[sample()] * 5)
    before, *during, after = phases(often, tmp_path)
    assert (before, after) == ("before", "after")
    assert set(during) == {"during"}
    assert len(often.samples) == len(during) + 2 >= 4


def test_the_thread_is_a_daemon_of_its_own_and_ends() -> None:
    gpu = FakeGpu(sample())
    run = Telemetry(gpu, EVERY_S)
    run.start()
    (thread,) = gpu.threads
    assert thread.daemon
    assert thread is not threading.current_thread()
    run.stop()
    assert not thread.is_alive()
    asked = gpu.asked
    time.sleep(5 * EVERY_S)
    assert gpu.asked == asked
    assert gpu.threads == {thread}


def test_samples_come_as_often_as_asked() -> None:
    gpu = FakeGpu(sample())
    run = Telemetry(gpu, every_s=0.05)
    run.start()
    time.sleep(0.5)
    run.stop()
    assert 4 <= gpu.asked <= 12  # 2 outside; 10 during, fewer on a busy machine


def test_errors_stay_in_the_telemetry() -> None:
    run = followed(sample(), RuntimeError("lost"), sample(1600), ValueError("odd"), sample())
    summary = run.summary()
    assert summary.failed_samples == 2
    assert summary.error == "ValueError('odd')"
    assert summary.samples == len(run.samples) >= 2
    assert 1600 in {each.sm_clock_mhz for each in run.samples}


def test_a_gpu_that_only_fails(tmp_path: Path) -> None:
    run = followed(*[RuntimeError("lost")] * 3)
    summary = run.summary()
    assert (summary.samples, summary.before, summary.power_w) == (0, None, None)
    assert summary.throttle is None
    assert summary.sm_clock_mhz is None
    assert run.throttled == ()
    run.write(tmp_path / "telemetry.parquet")
    assert system_metrics(tmp_path / "telemetry.parquet") == []
    assert pq.read_table(tmp_path / "telemetry.parquet").num_rows == 0


def test_a_driver_that_hangs_does_not_hang_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "PATIENCE_S", 0.1)
    released = threading.Event()

    class Hanging(FakeGpu):
        def sample(self) -> GpuSample:
            self.threads.add(threading.current_thread())
            released.wait(60)
            return super().sample()

    gpu = Hanging(sample())
    run = Telemetry(gpu, EVERY_S)
    began = time.monotonic()
    run.start()
    run.stop()
    assert 0.2 <= time.monotonic() - began < 10
    assert run.summary().samples == 0
    released.set()
    (thread,) = gpu.threads
    thread.join(20)
    assert not thread.is_alive()


def test_figures_are_those_of_the_run_itself() -> None:
    run = scripted(sample(300), sample(1700), sample(1500), sample(None), sample(1600), sample(345))
    assert run.summary().sm_clock_mhz == Spread(1500, 1600, 1700)
    assert run.summary().before == sample(300)
    assert run.summary().after == sample(345)
    assert run.summary().power_w == Spread(400.5, 400.5, 400.5)


def test_a_median_is_a_measured_value() -> None:
    run = scripted(sample(), sample(1500), sample(1800), sample())
    clock = run.summary().sm_clock_mhz
    assert clock
    assert clock.median == 1500


def test_a_run_too_short_for_a_sample_of_its_own() -> None:
    run = scripted(sample(1000, ("sw_power_cap",)), sample(1200))
    assert run.summary().sm_clock_mhz == Spread(1000, 1000, 1200)
    assert run.throttled == ("sw_power_cap",)


def test_throttling_with_its_share_of_the_samples_that_told() -> None:
    cap, both = ("sw_power_cap",), ("sw_power_cap", "hw_thermal")
    during = [sample(throttle=throttle) for throttle in (cap, both, (), (), None)]
    run = scripted(sample(throttle=("sw_thermal",)), *during, sample())
    assert run.summary().throttle == {"hw_thermal": 0.25, "sw_power_cap": 0.5}
    assert run.throttled == ("hw_thermal", "sw_power_cap")


def test_not_throttled_differs_from_not_told() -> None:
    assert scripted(sample(), sample(throttle=()), sample()).summary().throttle == {}
    assert scripted(sample(), sample(throttle=None), sample()).summary().throttle is None


def test_parquet_keeps_every_sample_and_every_gap(tmp_path: Path) -> None:
    cap = ("sw_power_cap", "hw_thermal")
    blank = GpuSample(3_000, None, None, None, None, None, None, None)
    run = scripted(sample(at_ns=1_000), sample(1700, cap, 2_000), blank)
    path = tmp_path / "telemetry.parquet"
    run.write(path)
    table = pq.read_table(path)
    assert table.schema == TELEMETRY
    assert table.column("phase").to_pylist() == ["before", "during", "after"]
    assert table.column("at_ns").to_pylist() == [1_000, 2_000, 3_000]
    assert table.column("sm_clock_mhz").to_pylist() == [1500, 1700, None]
    assert table.column("power_w").to_pylist() == [400.5, 400.5, None]
    assert table.column("memory_used_mib").to_pylist() == [1000, 1000, None]
    assert table.column("throttle").to_pylist() == [[], list(cap), None]


def test_metrics_have_mlflows_names_units_and_time_of_day(tmp_path: Path) -> None:
    now = time.monotonic_ns()
    path = tmp_path / "telemetry.parquet"
    scripted(sample(at_ns=now), sample(None, at_ns=now + 10**9)).write(path)
    metrics = system_metrics(path)
    first = {name: value for name, value, _, step in metrics if step == 0}
    assert first == {
        "system/gpu_3_utilization_percentage": 99,
        "system/gpu_3_power_usage_watts": 400.5,
        "system/gpu_3_memory_usage_megabytes": pytest.approx(1048.576),
        "system/gpu_3_sm_clock_mhz": 1500,
        "system/gpu_3_temperature_celsius": 60,
    }
    second = {name for name, _, _, step in metrics if step == 1}
    assert second == set(first) - {"system/gpu_3_sm_clock_mhz"}
    at_ms = {step: at for _, _, at, step in metrics}
    assert abs(at_ms[0] - time.time() * 1000) < 10_000
    assert at_ms[1] - at_ms[0] in (999, 1000, 1001)


def test_a_file_that_does_not_tell_the_time_of_day_has_no_metrics(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.parquet"
    assert system_metrics(path) == []
    scripted(sample(), sample()).write(path)
    assert system_metrics(path)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert system_metrics(path) == []


def test_the_names_are_those_of_mlflows_own_monitor() -> None:
    monitor = pytest.importorskip("mlflow.system_metrics.metrics.gpu_monitor")
    source = Path(monitor.__file__).read_text()
    for name in ("utilization_percentage", "power_usage_watts", "memory_usage_megabytes"):
        assert f'f"gpu_{{i}}_{name}"' in source
