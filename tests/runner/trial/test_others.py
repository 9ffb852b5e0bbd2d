"""What others do to the cores, by what the system tells."""

from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import pytest

from runner.trial import others
from runner.trial.others import Others

Core = namedtuple("Core", "user system idle steal guest")
Used = namedtuple("Used", "user system children_user children_system")


@dataclass
class Process:
    """One of ours. used: CPU seconds at each look; the last for good."""

    used: list[float]
    cores: Sequence[int]

    def cpu_times(self) -> Used:
        now = self.used.pop(0)
        return Used(now / 2, 0, now / 4, now / 4)

    def cpu_affinity(self) -> Sequence[int]:
        return self.cores

    def children(self, recursive: bool) -> "list[Process]":
        return []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, the second the device; ten seconds between two looks, in which ours work 2 s on
    the first core and 7 s on the device."""
    told = [
        [Core(50, 0, 50, 0, 0), Core(50, 0, 50, 9, 3)],
        [Core(53, 1, 56, 0, 0), Core(59, 1, 50, 9, 3)],  # 4 s and 10 s
    ]
    submitter, executor = Process([10, 12], [0]), Process([20, 27], [1])
    submitter.children = lambda recursive: [executor]  # type: ignore[method-assign]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: told.pop(0))
    monkeypatch.setattr(psutil, "Process", lambda: submitter)
    monkeypatch.setattr(others, "available_cores", lambda: [0, 1])
    times = [100.0, 110.0]
    monkeypatch.setattr("time.monotonic", lambda: times.pop(0) if times else 110.0)


@pytest.mark.usefixtures("machine")
def test_what_is_not_ours_is_others() -> None:
    found = Others([1]).load()
    assert found is not None
    assert found.device == pytest.approx(0.3)
    assert found.cores == pytest.approx(0.5)


@pytest.mark.usefixtures("machine")
def test_without_cores_of_its_own_a_device_has_none_to_share() -> None:
    found = Others().load()
    assert found is not None
    assert (found.cores, found.device) == (pytest.approx(0.5), None)


def test_a_system_that_does_not_tell_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(percpu: bool) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "cpu_times", fails)
    assert Others([1]).load() is None
