"""The level's probe on host, over a queue and a clock that a test makes up."""

from functools import partial
from typing import Any

import pytest

from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.platforms.host import session
from runner.platforms.host.session import HostLane, HostSession
from runner.platforms.prove import probe
from runner.proof.checks import check_level
from xsched_bindings.host.stream import LoadedProgram

WORK = LoadedProgram(0, 40)
IN_FLIGHT = 8


class Clock:
    now_s = 1.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)


class Disturbed:
    """Stream and queue: of what is in flight at a suspension a command completes every `step_s`,
    because others have the core."""

    last_completed_ns = 0

    def __init__(self, clock: Clock, step_s: float) -> None:
        self.clock, self.step_s, self.before = clock, step_s, 0
        self.suspended_s = 0.0

    def submit(self, work: LoadedProgram) -> None:
        assert work is WORK

    def suspend(self) -> None:
        self.suspended_s = self.clock.now_s

    def settled(self) -> int:
        return self.completed

    def resume(self) -> None:
        self.before, self.suspended_s = self.before + WORK.commands, 0.0

    def synchronize(self) -> None: ...

    @property
    def completed(self) -> int:
        since_s = self.clock.now_s - self.suspended_s if self.suspended_s else 0.0
        return self.before + min(IN_FLIGHT, int(since_s / self.step_s))


@pytest.mark.parametrize("step_ms", [0.5, 2.5, 3, 3.5])
def test_a_disturbed_core_has_time_to_go_quiet(
    step_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Any = Clock()
    monkeypatch.setattr(session, "time", clock)
    config = Config()
    config.platform.name = "host"
    config.arm.name = "xsched"
    config.task_set.tasks = {"a": TaskConfig()}
    trial = resolve(config)
    stream: Any = Disturbed(clock, step_ms / 1e3)
    host = HostSession(trial, stream, print)
    lane = HostLane(trial.tasks[0], stream, WORK, WORK)
    probes = probe(partial(host._suspension, lane, stream), wanted=50)
    assert check_level(probes).passed
    assert {each.passed for each in probes if not each.disturbed} == {IN_FLIGHT}
    assert sum(not each.disturbed for each in probes) >= 50
    assert sum(each.disturbed for each in probes) <= 4, "it looks longer and longer"
