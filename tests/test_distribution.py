"""What people install and cite: the wheel is complete and runs by itself, there is one version."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
import yaml

from tests.conftest import ROOT, environment

PACKAGES = ("hydra_plugins", "models", "runner", "xsched_bindings")
FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
NO_NETWORK = ("--no-deps", "--no-build-isolation", "--no-index")


def python(*arguments: str, cwd: Path, path: Path = ROOT) -> str:
    """What this interpreter prints with the code at `path`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment() | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked. It is built from the source distribution, so that one is whole, too."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("conf", *PACKAGES):
        copytree(ROOT / name, source / name, ignore=ignore_patterns("__pycache__"))
    for name in FILES:
        copy(ROOT / name, source)
    python(
        "-c",
        "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])",
        str(built),
        cwd=source,
    )
    (archive,) = built.glob("*.tar.gz")
    python("-m", "pip", "wheel", str(archive), *NO_NETWORK, "--wheel-dir", str(built), cwd=built)
    (packed,) = built.glob("*.whl")
    with zipfile.ZipFile(packed) as file:
        file.extractall(built / "unpacked")
    return built / "unpacked"


def below(folder: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern)}


def test_the_wheel_has_everything(wheel: Path) -> None:
    assert below(wheel / "runner" / "conf", "*.yaml") == below(ROOT / "conf", "*.yaml")
    for name in PACKAGES:
        for pattern in ("*.py", "*.c", "*.cu", "*.html", "*.md", "*.txt"):
            assert below(wheel / name, pattern) == below(ROOT / name, pattern)
    (kept,) = wheel.glob("xsched_runner-*.dist-info/licenses/LICENSE")
    assert kept.read_text() == (ROOT / "LICENSE").read_text()


def test_the_wheel_runs_from_any_folder(wheel: Path) -> None:
    for folder in (wheel.parent, wheel / "runner" / "conf"):
        assert "urgent_vs_background" in python("-m", "runner", "--help", cwd=folder, path=wheel)
    planned = python("-m", "runner", "task_set=smoke", "dry_run=true", cwd=wheel.parent, path=wheel)
    assert "nothing was run" in planned


def test_the_wheel_runs_its_own_code(wheel: Path) -> None:
    program = "import runner, models, xsched_bindings, hydra_plugins.trial_sweeper as h\n"
    program += "for each in runner, models, xsched_bindings, h: print(each.__file__)"
    files = python("-c", program, cwd=wheel.parent, path=wheel).splitlines()
    assert [Path(file).is_relative_to(wheel) for file in files] == [True] * 4


def test_there_is_one_version(wheel: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    for path in (ROOT, wheel):
        said = python("-m", "runner", "--version", cwd=wheel.parent, path=path)
        assert said == f"xsched-runner {version}\n"
