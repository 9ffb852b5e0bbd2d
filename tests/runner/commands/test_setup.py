"""The environment that ``make setup`` makes, with pip played by the test: what it was told to keep,
and what the new interpreter sees in the end."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.commands import setup
from runner.platforms.gpu import installed_torch
from tests.conftest import ROOT
from tests.runner import fake_rocm

ROCM, PYPI = "2.9.0+rocm7.0.2", "2.13.0+cu130"
Pip = Callable[[list[str]], int]


def distribution(site: Path, name: str, version: str) -> None:
    information = site / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This interpreter sees a PyTorch for ROCm; returns the folder of packages that it is in."""
    site = fake_rocm.torch(tmp_path / "container", [])
    distribution(site, "torch", ROCM)
    monkeypatch.syspath_prepend(site)
    see(monkeypatch, site / "torch")
    return site


def see(monkeypatch: pytest.MonkeyPatch, torch: Path | None) -> None:
    monkeypatch.setattr(installed_torch, "folder", lambda: torch)
    monkeypatch.setattr(installed_torch, "build", installed_torch.build.__wrapped__)


@pytest.fixture
def plays_pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pip], None]:
    """Have `pip` in place of pip: it is given the constraints and returns the exit code."""
    real = subprocess.run
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def play(pip: Pip) -> None:
        def run(command: list[str], **options: Any) -> Any:
            if command[1:3] == ["-m", "venv"]:
                command = [*command[:3], "--without-pip", *command[3:]]
            if not command[0].endswith("bin/pip"):
                return real(command, **options)
            constraints = Path(command[command.index("-c") + 1]).read_text().splitlines()
            return subprocess.CompletedProcess(command, pip(constraints))

        monkeypatch.setattr(subprocess, "run", run)

    return play


def packages_of(environment: Path) -> Path:
    return next(environment.glob("lib/python*/site-packages"))


def test_a_pytorch_that_is_there_is_kept(
    container: Path, plays_pip: Callable[[Pip], None], tmp_path: Path
) -> None:
    distribution(container, "torchvision", "0.24.0+rocm7.0.2")
    told: list[str] = []
    plays_pip(lambda constraints: told.extend(constraints) or 0)
    said = setup.make(tmp_path / "env")
    assert said == f"kept PyTorch {ROCM}, built for HIP 7.0.2, of {container / 'torch'}"
    assert told == [f"torch=={ROCM}", "torchvision==0.24.0+rocm7.0.2"]


def test_so_it_is_in_an_environment_of_a_container(
    container: Path, plays_pip: Callable[[Pip], None], tmp_path: Path
) -> None:
    """Which --system-site-packages would not see: it means the base interpreter's."""
    plays_pip(lambda _: 0)
    setup.make(tmp_path / "env")
    ask = "import torch, sys; print(torch.__version__, sys.prefix)"
    python = str(tmp_path / "env" / "bin" / "python")
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [ROCM, str(tmp_path / "env")]


def test_another_pytorch_in_its_place_stops_the_setup(
    container: Path, plays_pip: Callable[[Pip], None], tmp_path: Path
) -> None:
    """What pip did to a container's build: it took that of the index."""

    def replace(_: list[str]) -> int:
        site = packages_of(tmp_path / "env")
        fake_rocm.torch(site, [], hip=None)
        (site / "torch" / "version.py").write_text(f"__version__ = {PYPI!r}\ncuda = '13.0'\n")
        return 0

    plays_pip(replace)
    with pytest.raises(setup.SetupError) as stopped:
        setup.make(tmp_path / "env")
    said = str(stopped.value)
    assert f"PyTorch {ROCM}, built for HIP 7.0.2" in said
    assert f"PyTorch {PYPI}, built for CUDA 13.0" in said
    assert f"remove {tmp_path / 'env'}" in said


def test_without_one_nothing_is_kept_and_nothing_is_lent(
    monkeypatch: pytest.MonkeyPatch, plays_pip: Callable[[Pip], None], tmp_path: Path
) -> None:
    see(monkeypatch, None)
    told: list[str] = []

    def install(constraints: list[str]) -> int:
        told.extend(constraints)
        fake_rocm.torch(packages_of(tmp_path / "env"), [], hip=None)
        return 0

    plays_pip(install)
    where = tmp_path / "env" / "lib"
    said = setup.make(tmp_path / "env")
    assert said.startswith(f"PyTorch {ROCM}, built for the CPU, of {where}")
    assert told == []
    assert not list(packages_of(tmp_path / "env").glob("*.pth"))


def test_the_environments_own_pytorch_is_not_one_that_was_there(
    monkeypatch: pytest.MonkeyPatch, plays_pip: Callable[[Pip], None], tmp_path: Path
) -> None:
    """Of an interpreter of the environment itself, as while it is activated."""
    told: list[str] = []
    plays_pip(lambda constraints: told.extend(constraints) or 0)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    site = fake_rocm.torch(packages_of(tmp_path / "env"), [])
    see(monkeypatch, site / "torch")
    assert setup.make(tmp_path / "env").startswith("PyTorch")
    assert told == []


def test_a_version_that_is_not_admitted_is_said_with_the_ways_out(
    container: Path,
    plays_pip: Callable[[Pip], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plays_pip(lambda _: 1)
    monkeypatch.setattr(sys, "argv", ["setup", str(tmp_path / "env")])
    with pytest.raises(SystemExit) as ended:
        setup.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"error: pip failed, see above; PyTorch {ROCM}")
    assert "PYTHON=" in said


def test_builds_before_a_release_are_admitted() -> None:
    """Containers have 2.9.0a0+git…, which is before 2.9.0."""
    from packaging.requirements import Requirement

    from runner.commands.project import requirements

    wanted = {each.name: each for each in map(Requirement, requirements())}
    for version in ("2.7.0a0+git6374332", "2.9.0a0+git1234", "2.9.1+rocm7.2", "2.13.0+cpu"):
        assert wanted["torch"].specifier.contains(version, prereleases=True)
    assert not wanted["torch"].specifier.contains("2.6.1+rocm6.4", prereleases=True)
    here = importlib.metadata.version("torch")
    assert wanted["torch"].specifier.contains(here, prereleases=True)
