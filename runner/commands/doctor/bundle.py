"""``--bundle FILE``: a zip of what others need to understand a machine that they cannot reach.

Of its user it tells nothing: only variables that GPUs' libraries read, no line about where things
are kept, and in all that is left no home, no name, no working folder."""

import getpass
import importlib.metadata
import json
import os
import platform
import re
import resource
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from runner.commands.doctor.elf import symbols
from runner.commands.doctor.lines import Line, verdict

ROOT = Path(__file__).parents[3]
#: Lines that say where this user keeps things, or who else is there.
PRIVATE_LINES = ("output folder", "tracking store", "GPU processes")
VARIABLES = re.compile(
    "(AMD|CUDA|GPU|HIP|HSA|LD|MIOPEN|NVIDIA|PYTORCH|ROC|ROCR|TENSILE|TORCH|XSCHED)[A-Z0-9]*_.*"
)
SECRETS = re.compile("KEY|TOKEN|SECRET|PASS|AUTH", re.IGNORECASE)
#: Of a process's libraries: those whose launches of kernels matter.
LAUNCHERS = re.compile(r"lib(amdhip64|hipblas|hipblaslt|rocblas|MIOpen|shim\w+|torch_hip)\.so")
LAUNCH = re.compile(r"(hip|cu)\w*Launch\w*")
#: What the kernel and ROCm say of themselves.
VERSION_FILES = (
    "/etc/os-release",
    "/opt/rocm/.info/version",
    "/sys/module/amdgpu/version",
    "/proc/driver/nvidia/version",
)


def write(path: Path, lines: Sequence[Line]) -> None:
    """Pack these lines and what surrounds them. Raises OSError."""
    shown = [line for line in lines if line.name not in PRIVATE_LINES]
    report = {"verdict": verdict(lines), "lines": [asdict(line) for line in shown]}
    parts = {
        "report.json": json.dumps(report, indent=2, ensure_ascii=False, default=str),
        "packages.txt": "\n".join(_packages()),
        "variables.txt": "\n".join(_variables()),
        "system.txt": "\n".join(_system()),
        "symbols.txt": "\n".join(_symbols(_libraries(shown))),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in parts.items():
            bundle.writestr(name, without_user(text))


def without_user(text: str) -> str:
    """The same without homes, the working folder and the user's name."""
    places = {str(ROOT): "<runner>", str(Path.cwd()): "<here>", str(Path.home()): "~"}
    for place, shown in places.items():
        text = text.replace(place, shown) if len(place) > 1 else text
    text = re.sub(r"/(home|Users)/[^/\s\"':,]+", r"/\1/…", text)
    user = _user()
    return text if user in ("", "root") else re.sub(rf"\b{re.escape(user)}\b", "<user>", text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a number without a name, as in containers


def _packages() -> Iterator[str]:
    found = importlib.metadata.distributions()
    yield from sorted({f"{each.metadata['Name']}=={each.version}" for each in found})


def _variables() -> Iterator[str]:
    for name, value in sorted(os.environ.items()):
        if VARIABLES.fullmatch(name) and not SECRETS.search(name):
            yield f"{name}={value}"


def _system() -> Iterator[str]:
    yield f"{platform.platform()}, Python {platform.python_version()}"
    yield f"open files: {resource.getrlimit(resource.RLIMIT_NOFILE)}"
    for file in map(Path, VERSION_FILES):
        if file.is_file():
            yield f"\n{file}\n{file.read_text(errors='replace').strip()}"


def _libraries(lines: Iterable[Line]) -> list[Path]:
    """Of all probes."""
    found = {Path(each) for line in lines for each in line.details.get("libraries", ())}
    return sorted(each for each in found if LAUNCHERS.match(each.name))


def _symbols(libraries: Iterable[Path]) -> Iterator[str]:
    """Who exports and who calls what launches kernels."""
    for library in libraries:
        yield f"\n{library}"
        try:
            found = symbols(library)
        except (OSError, ValueError) as failure:
            yield f"  {failure}"
            continue
        yield from (f"  exports {name}" for name in sorted(found.exported) if LAUNCH.match(name))
        yield from (f"  calls   {name}" for name in sorted(found.needed) if LAUNCH.match(name))
