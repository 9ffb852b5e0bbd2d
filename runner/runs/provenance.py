"""Where a run comes from: code, command, machine, libraries. Nothing here imports torch."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from runner.platforms.machine import available_cores, cpu_model

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
ROOT = Path(__file__).parents[2]
#: Where a file that git does not know yet can change what a run does.
CODE = ("conf", "hydra_plugins", "models", "runner", "xsched_bindings")
#: Whatever a person has configured git to show instead.
DIFF = ("diff", "--no-ext-diff", "--no-color")
MAX_DIFF = 100_000
#: Of the device: what changes no figure, or is said elsewhere.
NO_FACTS = ("index", "pci", "memory_mib", "version")
DIGITS = 12
#: Of a command: what says where its author keeps things, and what is added to every command.
NOT_TOLD = ("output_root=", "tracking.uri=", "hydra.", "hydra/")
ABSOLUTE = re.compile(r"(?<![\w.…~/-])~?/(?:[^\s/'\"`|,]+/)*([^\s/'\"`|,]+)")


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


# --- told to others ---------------------------------------------------------------------


def told(command: str) -> str:
    """What was typed, as it is told to others: without what says where its author keeps things."""
    words = shlex.split(command)
    return " ".join(_quoted(word) for word in words if not word.startswith(NOT_TOLD))


def _quoted(word: str) -> str:
    return shlex.quote(ABSOLUTE.sub(r"…/\1", word))


# --- what can change a figure ------------------------------------------------------------


def facts(origin: Mapping[str, Any]) -> dict[str, str]:
    """What of a provenance can change a figure, in words, by name."""
    machine, device = origin.get("environment") or {}, origin.get("device") or {}
    code = origin.get("code") or {}
    named = {
        "commit": str(code.get("commit", ""))[:DIGITS],
        "uncommitted changes": _changes(code),
        **{name: machine.get(name) for name in ("python", "system", "cpu", "cores", "governor")},
        **(machine.get("libraries") or {}),
        **_group("", {k: v for k, v in device.items() if not isinstance(v, dict)}),
        **_group("gpu", device.get("gpu")),
        **_group("gpu", device.get("settings")),
        **_group("torch", device.get("torch")),
        **{k: str(v)[:DIGITS] for k, v in (device.get("xsched_libraries") or {}).items()},
        **(origin.get("xsched_variables") or {}),
    }
    return {name: word(value) for name, value in named.items()}


def _changes(code: Mapping[str, Any]) -> str:
    """A checksum of what differed from the commit; of older runs, of as much as they recorded."""
    diff = str(code.get("diff", ""))
    return str(code.get("diff_sha256") or hashlib.sha256(diff.encode()).hexdigest() * bool(diff))[
        :DIGITS
    ]


def _group(prefix: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        f"{prefix} {name.replace('_', ' ')}".strip(): value
        for name, value in (values or {}).items()
        if name not in NO_FACTS
    }


def word(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(str, value))
    return str(value)
