"""``python -m runner.setup VENV``, behind ``make setup``: the environment, with the PyTorch that is
there already if this interpreter sees one.

A container's PyTorch is built for its GPU, and the package index has another build under the same
name. So one that is there is kept: the environment sees what this interpreter sees, and pip may not
replace it. Runs before anything is installed, with the standard library alone.
"""

import importlib.metadata
import json
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.platforms.device import TorchBuild
from runner.platforms.gpu import installed_torch

#: What goes together: torchvision's operators are built for one PyTorch.
KEPT = ("torch", "torchvision")
#: The environment's line to the folders that this interpreter has its packages in. Not
#: --system-site-packages: that is the base interpreter's, and a container may have PyTorch in an
#: environment of its own.
LINK = "kept_pytorch.pth"
#: Run by the new environment.
ASK = "import runner.commands.setup as setup; setup.say()"


@dataclass(frozen=True)
class Found:
    """A PyTorch and where it is, "" for none."""

    build: TorchBuild
    folder: str

    def __str__(self) -> str:
        kinds = {"CUDA": self.build.cuda, "HIP": self.build.hip}
        built_for = [f"{kind} {version}" for kind, version in kinds.items() if version]
        what = f"PyTorch {self.build.version}, built for {' and '.join(built_for) or 'the CPU'}"
        return f"{what}, of {self.folder}"


class SetupError(RuntimeError):
    """The environment cannot be made as it should be; the message says why and what to do."""


def main() -> None:
    try:
        if len(sys.argv) != 2:
            raise SetupError("usage: python -m runner.setup VENV")
        print(f"setup: {make(Path(sys.argv[1]).absolute())}")
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def make(folder: Path) -> str:
    """The environment in `folder`, anew or brought up to date; what its PyTorch is, in a line.
    Raises `SetupError`."""
    there = here()
    kept = bool(there.folder) and not Path(there.folder).is_relative_to(folder)
    _run(
        [sys.executable, "-m", "venv", str(folder)],
        f"{sys.executable} cannot make an environment: install its venv module, or give another "
        "interpreter as PYTHON=",
    )
    _link(folder, packages() if kept else [])
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary, "kept.txt")
        constraints.write_text("\n".join(versions() if kept else []))
        install = ["install", "--quiet", "-c", str(constraints), "-e", ".[dev]"]
        said = "pip failed, see above"
        if kept:
            said += (
                f"; {there} was to be kept. If pyproject.toml does not admit its version, use a "
                "container with one that it does, or give an interpreter without PyTorch as PYTHON="
            )
        _run([str(folder / "bin/pip"), *install], said)
    now = of(folder)
    if kept and (now.build, now.folder) != (there.build, there.folder):
        raise SetupError(
            f"{there} was there and was to be kept, and the environment has {now}: remove {folder} "
            "and PYTHONPATH, and try again"
        )
    return f"kept {now}" if kept else str(now)


def here() -> Found:
    """What this interpreter has."""
    return Found(installed_torch.build(), str(installed_torch.folder() or ""))


def of(folder: Path) -> Found:
    """What the environment in `folder` has. Raises `SetupError`."""
    done = subprocess.run(
        [str(folder / "bin/python"), "-c", ASK], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SetupError(f"the environment has no PyTorch that can be asked: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    return Found(TorchBuild(**said["build"]), said["folder"])


def say() -> None:
    print(json.dumps(asdict(here())))


def versions() -> list[str]:
    """Of what is kept, for pip."""
    found = []
    for name in KEPT:
        try:
            found.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def packages() -> list[str]:
    """The folders that this interpreter has packages in."""
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    ours = {"", str(Path.cwd())}
    folders = [path for path in sys.path if Path(path).is_dir() and path not in standard | ours]
    return [path for path in folders if not path.endswith("lib-dynload")]


def _link(folder: Path, folders: list[str]) -> None:
    """Let the environment see these, after its own."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    link = folder / "lib" / name / "site-packages" / LINK
    link.unlink(missing_ok=True)
    if folders:
        # Plain lines: what pip builds in isolation must not see them, and pip knows only such.
        link.write_text("".join(f"{path}\n" for path in folders))


def _run(command: list[str], remedy: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise SetupError(remedy)


if __name__ == "__main__":
    main()
