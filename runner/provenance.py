"""Where a run comes from: code, command, machine, libraries. Nothing here imports torch."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from runner.platforms import available_cores
from runner.platforms.host import cpu_model

LIBRARIES = (
    "hydra-core",
    "mlflow",
    "mlflow-skinny",
    "numpy",
    "omegaconf",
    "pyarrow",
    "torch",
    "torchvision",
    "transformers",
)
ROOT = Path(__file__).parents[1]
#: Where a file that git does not know yet can change what a run does.
CODE = ("conf", "hydra_plugins", "models", "runner", "xsched_bindings")
#: Whatever a person has configured git to show instead.
DIFF = ("diff", "--no-ext-diff", "--no-color")
MAX_DIFF = 100_000


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # 1 is what a comparison of two files says of a difference.
    return done.stdout if done.returncode in (0, 1) else ""


@cache
def code() -> dict[str, Any]:
    """Commit of the checkout and what differs from it, new files of code included: a patch, which
    may be cut, and the checksum of all of it ("" outside a checkout and for no difference)."""
    new = _git("ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines()
    diff = _git(*DIFF, "HEAD") + "".join(
        _git(*DIFF, "--no-index", "--", os.devnull, name) for name in new
    )
    return {
        "commit": _git("rev-parse", "HEAD").strip(),
        "diff": diff[:MAX_DIFF],
        "diff_sha256": hashlib.sha256(diff.encode()).hexdigest() if diff else "",
    }


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _governor(core: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")
    try:
        return path.read_text().strip()
    except OSError:
        return ""


@cache
def environment() -> dict[str, Any]:
    """The machine and the libraries; the same for every run of a process."""
    cores = available_cores()
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": len(cores),
        "governor": _governor(cores[-1]),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def load() -> dict[str, float]:
    """How busy the machine is at this moment: a disturbed run shows here."""
    return {"load_1min": os.getloadavg()[0], "cpu_mhz": getattr(psutil.cpu_freq(), "current", 0.0)}


def present() -> dict[str, Any]:
    """What a run of this process would have around it, without its device."""
    return {
        "code": code(),
        "environment": environment(),
        "xsched_variables": {k: v for k, v in os.environ.items() if k.startswith("XSCHED")},
    }


def collect(overrides: list[str], load_before: dict[str, float]) -> dict[str, Any]:
    """All of provenance.json."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["python", "-m", "runner", *sys.argv[1:]],
        "overrides": overrides,
        **present(),
        "load_before": load_before,
        "load_after": load(),
    }
