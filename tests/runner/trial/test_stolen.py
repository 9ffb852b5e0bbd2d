from collections import namedtuple

import psutil
import pytest

from runner.trial.stolen import Stolen

Times = namedtuple("Times", "user idle steal")


def test_the_core_that_lost_most_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        [Times(10, 10, 0), Times(10, 10, 5)],
        [Times(14, 15, 1), Times(12, 15, 8)],  # of ten seconds each: one, three
    ]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: told.pop(0))
    assert Stolen().share() == pytest.approx(0.3)


def test_a_system_that_does_not_tell_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Untold = namedtuple("Untold", "user idle")
    told = [[Untold(10, 10)], [Untold(15, 15)]]
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: told.pop(0))
    assert Stolen().share() == 0


def test_no_time_at_all_is_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [Times(10, 10, 5)])
    assert Stolen().share() == 0
