from pathlib import Path

import pytest

from runner.commands import project as own
from runner.commands.doctor import software
from runner.commands.doctor.lines import State
from runner.commands.doctor.machine import Machine
from runner.platforms.device import TorchBuild
from runner.platforms.gpu import installed_torch


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pyproject.toml"
    monkeypatch.setattr(own, "PROJECT", path)
    return path


def declare(project: Path, *requirements: str) -> None:
    project.write_text(f"[project]\ndependencies = {list(requirements)!r}\n")


def test_the_projects_own_requirements_hold_here(bare: Machine) -> None:
    [line] = software.libraries(bare)
    assert line.state is State.ok
    assert line.details["psutil"]
    assert "torch" not in line.details


def test_a_missing_library_is_an_error(bare: Machine, project: Path) -> None:
    declare(project, "psutil>=5", "no-such-library>=1")
    [line] = software.libraries(bare)
    assert (line.state, line.found) == (State.error, "missing: no-such-library")
    assert line.details["no-such-library"] is None


def test_another_version_is_a_warning(bare: Machine, project: Path) -> None:
    declare(project, "psutil>=999")
    [line] = software.libraries(bare)
    assert line.state is State.warning
    assert line.found.startswith("psutil ")
    assert ">=999" in line.found


def test_requirements_of_other_systems_and_extras_do_not_count(
    bare: Machine, project: Path
) -> None:
    declare(project, "psutil", 'nothing; sys_platform == "win32"', 'nothing; extra == "ui"')
    [line] = software.libraries(bare)
    assert line.state is State.ok


@pytest.mark.parametrize(
    ("build", "state", "says"),
    [
        (TorchBuild(), State.error, "not installed"),
        (TorchBuild("2.13.0+cpu"), State.ok, "the CPU alone"),
        (TorchBuild("2.13.0+cu130", "13.0"), State.ok, "cuda 13.0"),
        (TorchBuild("1.13.1"), State.warning, "is wanted"),
    ],
)
def test_the_build_of_pytorch(
    build: TorchBuild,
    state: State,
    says: str,
    bare: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed_torch, "build", lambda: build)
    [line] = software.pytorch(bare)
    assert line.state is state
    assert says in line.found


def test_a_build_for_the_cpu_beside_a_gpu_is_an_error(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert software.pytorch(with_gpu)[0].state is State.ok
    build = TorchBuild("2.13.0+cpu")
    monkeypatch.setattr(installed_torch, "build", lambda: build)
    [line] = software.pytorch(with_gpu)
    assert line.state is State.error
    assert "platform=host" in line.remedy
