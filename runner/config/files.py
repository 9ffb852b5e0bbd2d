"""Configurations are data: a file from somebody else's paper must not be able to run code.

Hydra's own ``hydra`` node can (``hydra.callbacks.x._target_`` is imported and called before any of
our code), so files may set no more of it than `ALLOWED`. The project's own conf/config.yaml is
trusted, as code is.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from runner.config.errors import UserError

#: What a task set, model or experiment file may say below ``hydra``: dotted prefixes.
ALLOWED = ("mode", "sweeper.params", "launcher")
ALLOWED_DEFAULTS = ("hydra/launcher",)
FOLDER_FLAGS = ("--config-dir", "-cd", "--config-path", "-cp")


def check(conf: Path, arguments: list[str]) -> None:
    """Refuse files below conf/ and below folders named on the command line that reach into Hydra.

    Raises `UserError` naming file and key.
    """
    foreign = list(_folders(arguments))
    for folder in [conf, *foreign]:
        for path in sorted(folder.rglob("*.y*ml")):
            if path != conf / "config.yaml":
                _check_file(path, path.relative_to(folder))


def _folders(arguments: list[str]) -> Iterator[Path]:
    for flag, value in zip_longest(arguments, arguments[1:], fillvalue=""):
        if flag in FOLDER_FLAGS:
            yield Path(value)
        elif flag.startswith("--config-") and "=" in flag:
            yield Path(flag.partition("=")[2])
        elif "hydra.searchpath=" in flag:
            for place in flag.partition("=")[2].strip("[]").split(","):
                yield Path(place.strip("'\" ").removeprefix("file://"))


def _check_file(path: Path, relative: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return  # Hydra reads it only if it is asked for, and then says so
    if "hydra" not in text and relative.parts[0] != "hydra":
        return
    if relative.parts[0] == "hydra":
        _refuse(path, "a configuration of Hydra itself")
    for line in text.splitlines():
        if line.startswith("#") and "@package" in line and "hydra" in line:
            _refuse(path, line.strip())
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return  # Hydra says what is wrong with it, if it is asked for
    if not isinstance(content, dict):
        return
    for entry in content.get("defaults") or []:
        for group in entry if isinstance(entry, dict) else [entry]:
            name = str(group).replace("override", "").replace("optional", "").strip().lstrip("/")
            if "hydra" in name and name not in ALLOWED_DEFAULTS:
                _refuse(path, f"defaults: {group}")
    for key, value in content.items():
        if str(key).split(".")[0] == "hydra":
            rest = str(key).partition(".")[2]
            for dotted in _leaves(value, rest):
                if not any(dotted == ok or dotted.startswith(f"{ok}.") for ok in ALLOWED):
                    _refuse(path, f"hydra.{dotted}")
                if dotted.endswith("_target_"):
                    _refuse(path, f"hydra.{dotted}")


def _leaves(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path


def _refuse(path: Path, what: str) -> None:
    raise UserError(
        str(path),
        what,
        "a configuration file is data and may not change how Hydra itself runs",
        [f"hydra.{allowed}" for allowed in ALLOWED],
        remedy="give it on the command line if you mean it",
    )
