"""The pace of the device's cores, in a session of the host platform."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.platforms.host.session import HostSession
from runner.platforms.machine import available_cores
from xsched_bindings.host import DeviceSession

needs_a_core_of_its_own = pytest.mark.skipif(
    len(available_cores()) < 2, reason="the device shares its core"
)


MODEL = ModelOverride(name="bert_mini", size=64)
BARE = ModelOverride(name="synthetic", size=2, work_us=10)


def opened(device: DeviceSession, model: ModelOverride = MODEL) -> HostSession:
    config = Config()
    config.arm.name, config.platform.name = "native", "host"
    config.platform.placement = "threads"
    config.task_set.tasks = {"only": TaskConfig(model=model)}
    session = HostSession(resolve(config), device, lambda text: None)
    session.open()
    return session


@pytest.fixture
def beside_the_device(session: DeviceSession) -> Iterator[None]:
    """On other cores than it, as a trial's process is."""
    session.load({"name": "synthetic", "size": 1})
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - session.cores)
    yield
    os.sched_setaffinity(0, before)


@needs_a_core_of_its_own
@pytest.mark.usefixtures("beside_the_device")
def test_a_window_has_the_pace_of_the_device_s_cores(session: DeviceSession) -> None:
    measured = opened(session)
    assert {pace.core for pace in measured._paces} == session.cores
    measured.begin_window()
    begin = measured._paces[0].pieces
    while measured._paces[0].pieces < begin + 2:
        assert measured.watch(None, 0.01) == ""
    found = measured.end_window()
    assert found.pace_us is not None
    assert 0 < found.pace_us < 1e6
    assert found.stood_still == ()


def test_what_reads_no_memory_has_no_pace(session: DeviceSession) -> None:
    """Bare commands compute in registers: their times do not go with that of reading memory."""
    assert paced(opened(session, BARE), [3.0, 1.0]) is None


@needs_a_core_of_its_own
@pytest.mark.usefixtures("beside_the_device")
@pytest.mark.parametrize("which", [0, 1])
def test_a_core_that_may_sleep_again_is_a_lost_device(session: DeviceSession, which: int) -> None:
    measured = opened(session)
    os.kill(measured._paces[0].pids[which], signal.SIGKILL)
    (core,) = session.cores
    said = f"what keeps the pace of core {core} was lost: killed by SIGKILL"
    assert measured.watch(None, 30.0) == said


def test_a_core_that_this_process_needs_as_well_is_left_alone(session: DeviceSession) -> None:
    measured = opened(session)
    measured.begin_window()
    assert measured.end_window().pace_us is None


def paced(session: HostSession, *cores: list[float]) -> float | None:
    """The pace of a window in which the pieces of each core took these times."""

    def core(times_us: list[float]) -> Any:
        return SimpleNamespace(cpu_us_since=lambda begin: np.array(times_us[begin:]))

    session._paces, session._paced = [core(times) for times in cores], [0] * len(cores)
    return session._pace_us()


def test_the_pace_is_the_mean_of_all_cores_without_the_outer_fifth(session: DeviceSession) -> None:
    measured = opened(session)
    assert paced(measured, [3.0, 1.0], [2.0]) == 2
    assert paced(measured, [*range(1, 9), 9.0, 1e9]) == 5.5
    assert paced(measured, []) is None
