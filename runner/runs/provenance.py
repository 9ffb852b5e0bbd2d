"""Where a run comes from: code, command, machine, libraries. Nothing here imports torch."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil

from runner.platforms.device import DeviceOrigin, GpuInfo, GpuSettings, TorchBuild
from runner.platforms.machine import available_cores, cpu_model
from runner.runs.record import Code, Environment, Load, Provenance, Where
from runner.runs.store import shown

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
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
#: Variables by which queues name a job, the more telling ones first.
QUEUES = (
    (("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"), "slurm"),
    (("SLURM_JOB_ID",), "slurm"),
    (("RAY_JOB_ID",), "ray"),
    (("PBS_JOBID",), "pbs"),
    (("LSB_JOBID",), "lsf"),
)
#: What can change what a run does, files that git does not know yet too.
CODE = ("conf", "hydra_plugins", "models", "runner", "xsched_bindings")
SOURCES = (".py", ".yaml", ".html")
#: Whatever a person has configured git to show instead.
DIFF = ("diff", "--no-ext-diff", "--no-color")
MAX_DIFF = 100_000
#: Of the device: what changes no figure, or is said elsewhere.
NO_FACTS = ("index", "pci", "memory_mib", "version")
DIGITS = 12
#: Variables that may change what is measured.
VARIABLES = re.compile(
    "XSCHED|(CUDA|CUBLAS|CUDNN|NVIDIA|HIP|HSA|ROCR?|AMD|GPU|PYTORCH|TORCH|OMP|MKL|GOMP|KMP)_"
)
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
def code() -> Code:
    """Commit of the checkout and in which code it differs from it, new files included. Without a
    checkout of this project (a zip, an installation, a checkout that belongs to another user) a
    checksum of the code itself, so that other code's results are never taken for this one's."""
    top = _git("rev-parse", "--show-toplevel").strip()
    if not top or Path(top).resolve() != ROOT.resolve():
        digest = hashlib.sha256()
        for path in sorted(path for name in CODE for path in (ROOT / name).rglob("*")):
            if path.suffix in SOURCES:
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
                digest.update(path.read_bytes())
        return Code(source_sha256=digest.hexdigest())
    new = _git("ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines()
    diff = _git(*DIFF, "HEAD", "--", *CODE) + "".join(
        _git(*DIFF, "--no-index", "--", os.devnull, name) for name in new
    )
    return Code(
        commit=_git("rev-parse", "HEAD").strip(),
        diff=diff[:MAX_DIFF],
        diff_sha256=hashlib.sha256(diff.encode()).hexdigest() if diff else "",
    )


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
def environment() -> Environment:
    cores = available_cores()
    return Environment(
        python=platform.python_version(),
        system=platform.platform(),
        cpu=cpu_model(),
        cores=len(cores),
        governor=_governor(cores[-1]),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        libraries={name: version for name in LIBRARIES if (version := _version(name))},
    )


def where(device: str) -> Where:
    """Of this process. device: see `runner.runs.record.Where`."""
    name, known = socket.gethostname(), ""
    for path in MACHINE_IDS:
        with suppress(OSError):
            known = known or path.read_text().strip()
    # The id itself is not to be given away (machine-id(5)); a container may have none.
    machine = hashlib.sha256(f"xsched-runner {known or name}".encode()).hexdigest()[:12]
    job = next((told for names, kind in QUEUES if (told := _job(names, kind))), "")
    return Where(name, machine, device, job)


def _job(names: Sequence[str], kind: str) -> str:
    """``slurm 17_3``; "" where a variable is missing."""
    told = [os.environ.get(name, "") for name in names]
    return f"{kind} {'_'.join(told)}" if all(told) else ""


def load() -> Load:
    return Load(os.getloadavg()[0], getattr(psutil.cpu_freq(), "current", 0.0))


def present(device: DeviceOrigin) -> Provenance:
    """What a run of this process has around it. device: what the platform says of its own."""
    return Provenance(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=typed(),
        code=code(),
        environment=environment(),
        xsched_variables={k: v for k, v in sorted(os.environ.items()) if VARIABLES.match(k)},
        device=device,
    )


# --- told to others ---------------------------------------------------------------------


def typed() -> tuple[str, ...]:
    """The words of this process's command, without passwords."""
    return ("python", "-m", "runner", *map(shown, sys.argv[1:]))


def told(command: str) -> str:
    """What was typed, as it is told to others: without what says where its author keeps things."""
    words = [word for word in shlex.split(command) if not word.startswith(NOT_TOLD)]
    return shlex.join(ABSOLUTE.sub(r"…/\1", word) for word in words)


# --- what can change a figure ------------------------------------------------------------


def facts(origin: Provenance) -> dict[str, str]:
    """What of a provenance can change a figure, in words, by name."""
    machine, device, code = origin.environment, origin.device, origin.code
    # A checksum of what differed from the commit; of older runs, of as much as they recorded.
    older = hashlib.sha256(code.diff.encode()).hexdigest() if code.diff else ""
    named: dict[str, object] = {
        "commit": code.commit[:DIGITS],
        "uncommitted changes": (code.diff_sha256 or code.source_sha256 or older)[:DIGITS],
        "python": machine.python,
        "system": machine.system,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "governor": machine.governor,
        **machine.libraries,
        "device cores": device.device_cores,
        **_group("gpu", device.gpu),
        **_group("gpu", device.settings),
        **_group("torch", device.torch),
        **{name: digest[:DIGITS] for name, digest in device.xsched_libraries.items()},
        **origin.xsched_variables,
    }
    return {name: word(value) for name, value in named.items()}


def _group(prefix: str, record: GpuInfo | GpuSettings | TorchBuild | None) -> dict[str, object]:
    return {
        f"{prefix} {name.replace('_', ' ')}": value
        for name, value in (vars(record) if record else {}).items()
        if name not in NO_FACTS
    }


def device_name(origin: Provenance) -> str:
    """What kind of device it was, as its maker calls it; "" where nobody recorded it."""
    gpu, cores = origin.device.gpu, origin.device.device_cores
    if gpu is not None:
        return gpu.name
    return f"{len(cores)} x {origin.environment.cpu}" if cores else ""


def word(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(str, value))
    return str(value)
