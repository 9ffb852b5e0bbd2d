"""A point that goes wrong before it has a result; points that run are in tests of the trial."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from runner.platforms.contract import PlatformError
from runner.runs.files import read_summary
from runner.runs.record import Summary
from runner.runs.run import read_run
from runner.sweep import job
from runner.trial.status import Status


def run(folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise error

    hydra = SimpleNamespace(
        runtime=SimpleNamespace(output_dir=str(folder)), job=SimpleNamespace(name="block-t4")
    )
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra)
    monkeypatch.setattr(job, "_run", fails)
    job.run(DictConfig({}))


def test_what_the_platform_refuses_is_a_failed_run_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, PlatformError("the device is gone"), monkeypatch)
    assert read_summary(tmp_path) == Summary(
        name="block-t4",
        status=Status.FAILED,
        reason="the device is gone",
        folder=str(tmp_path),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_fault_of_ours_is_one_too_and_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, ZeroDivisionError("of nothing"), monkeypatch)
    ran = read_run(tmp_path)
    assert (ran.name, ran.status, ran.summary.as_expected) == ("block-t4", Status.FAILED, False)
    assert ran.summary.reason == "ZeroDivisionError: of nothing (see stderr.log)"
    assert "Traceback" in (tmp_path / "stderr.log").read_text()
    assert not ran.proof.checks
    assert not ran.provenance.is_known


def test_ctrl_c_ends_more_than_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, KeyboardInterrupt(), monkeypatch)
    assert read_summary(tmp_path) is None
