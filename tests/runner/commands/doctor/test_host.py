import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner.commands.doctor import host
from runner.commands.doctor.lines import State
from runner.commands.doctor.machine import Machine


def test_a_kernel_without_pidfd_cannot_run_host(
    bare: Machine, with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int) -> int:
        raise OSError(38, "Function not implemented")

    assert host.platform(with_gpu)[0].found.startswith("can run")
    monkeypatch.setattr(os, "pidfd_open", refused)
    [on_gpu] = host.platform(with_gpu)
    assert (on_gpu.state, "pidfd" in on_gpu.found) == (State.warning, True)


def test_without_a_gpu_that_is_an_error(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert host.platform(bare)[0].state is State.error


def test_one_core_is_a_warning(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "available_cores", lambda: [3])
    assert host.platform(bare)[0].state is State.warning


@pytest.mark.parametrize(
    ("governors", "state", "found"),
    [
        ([], State.ok, "not told"),
        (["performance", "performance"], State.ok, "performance"),
        (["performance", "powersave"], State.warning, "performance, powersave"),
    ],
)
def test_the_governor(
    governors: list[str],
    state: State,
    found: str,
    bare: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "CPUS", tmp_path)
    monkeypatch.setattr(host, "available_cores", lambda: [0, 1])
    for core, governor in enumerate(governors):
        (tmp_path / f"cpu{core}/cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{core}/cpufreq/scaling_governor").write_text(f"{governor}\n")
    [line] = host.governor(bare)
    assert line.state is state
    assert line.found.startswith(found)


@pytest.mark.parametrize(("busy", "state"), [(4.0, State.ok), (4.1, State.warning)])
def test_load_above_half_the_cores_disturbs(
    busy: float, state: State, bare: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "getloadavg", lambda: (busy, 0.0, 0.0))
    assert host.load(bare)[0].state is state


def test_little_shared_memory_is_a_warning(
    bare: Machine, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SHARED_MEMORY", temporary)
    free = {"free": 31 * host.MIB}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(**free))
    shared, folder = host.space(bare)
    assert (shared.state, shared.remedy) == (State.warning, "docker run --shm-size=1g")
    assert folder.state is State.warning
    free["free"] = 100 * host.MIB
    assert [line.state for line in host.space(bare)] == [State.ok, State.ok]


def test_no_shared_memory_is_a_warning(
    bare: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SHARED_MEMORY", tmp_path / "missing")
    assert host.space(bare)[0].found.endswith("does not exist")
