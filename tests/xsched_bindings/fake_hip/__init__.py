"""HIP without a GPU: builds ``fake_hip.c``, a client of it, and an XSched for both."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.xsched_bindings import double
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.library import find
from xsched_bindings.shim import HIP_SHIM

HERE = Path(__file__).parent
OPTIONS = "-std=gnu11 -O2 -Wall -Wextra -fPIC -pthread".split()
RUNTIME = "libamdhip64.so.7"


@dataclass(frozen=True)
class FakeHip:
    """A runtime and a program linked against it. xsched: the folder of XSched's libraries, a real
    installation's where XSCHED_HOME names one with a HIP shim, else the double's."""

    runtime: Path
    client: Path
    xsched: Path
    real: bool


def compile_c(*arguments: str | Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("the fake HIP runtime needs gcc")
    subprocess.run(["gcc", *OPTIONS, *arguments], check=True)


def build_runtime(folder: Path, *flags: str) -> Path:
    """``libamdhip64.so.7``. flags: ``-D`` options of ``fake_hip.c``."""
    folder.mkdir(parents=True, exist_ok=True)
    runtime = folder / RUNTIME
    script = f"-Wl,-soname,{RUNTIME},--version-script={HERE / 'fake_hip.map'}"
    compile_c("-shared", script, *flags, "-o", runtime, HERE / "fake_hip.c")
    return runtime


def build(folder: Path) -> FakeHip:
    runtime = build_runtime(folder / "rocm")
    client = folder / "client"
    linked = (f"-L{runtime.parent}", f"-l:{RUNTIME}", f"-Wl,-rpath,{runtime.parent}", "-ldl")
    compile_c("-o", client, HERE / "client.c", *linked)
    installed = _installed()
    return FakeHip(runtime, client, installed or _double(folder), installed is not None)


def _installed() -> Path | None:
    try:
        folder = find(os.environ["XSCHED_HOME"])
    except (KeyError, LibraryNotFound):
        return None
    return folder if (folder / HIP_SHIM).exists() else None


def _double(folder: Path) -> Path:
    library_folder = double.build(folder / "double")
    shim = library_folder / HIP_SHIM
    shim.unlink()
    compile_c("-shared", "-o", shim, HERE / "shim.c", f"-L{library_folder}", "-l:libpreempt.so")
    return library_folder


def run(
    hip: FakeHip, environment: Mapping[str, str], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """The client with that environment."""
    command = [str(hip.client), *arguments]
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=120, check=False
    )
