"""Configurations are data: a file from somebody else's paper must not be able to run code.

Files are judged where Hydra reads them, so those that are used are judged, however they were found,
and no others: first their limits, before anything is made of them, then what they say when parsed,
so that no spelling hides it. Hydra's own ``hydra`` node can run code: what is below
``hydra.callbacks.x._target_`` is imported and called before any of ours. So files may set no more
of it than `SETTINGS` and `PARAMS`. The project's own conf/config.yaml is trusted, as code is.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from hydra._internal.core_plugins.file_config_source import FileConfigSource as HydrasSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.errors import UserError, did_you_mean
from runner.config.limits import LAUNCHER, REFERENCE, SETTINGS, check_limits, problem, refusal
from runner.config.schema import all_keys, is_key

#: What a file may sweep over there.
PARAMS = re.compile(r"sweeper\.params\.(.+)")
NAME = r"[\w+=-][\w.+=-]*"
PATH = re.compile(rf"/?{NAME}(?:/{NAME})*")
GROUP = re.compile(rf"(?:(?:override|optional) )*({PATH.pattern})(?:@([^@]+))?")
PACKAGE = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
SPECIAL = re.compile(r"_\w+_")


def guard(conf: Path) -> None:
    """From now on Hydra refuses files that are more than data, by a `UserError` that names them."""
    FileConfigSource.trusted = conf / "config.yaml"
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


class FileConfigSource(HydrasSource):
    """Hydra's reader of files, with a judge. It has the name of Hydra's, because the registry takes
    no other for files."""

    trusted: ClassVar[Path | None] = None

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        if path == self.trusted:
            return super().load_config(config_path)
        check_limits(path)
        try:
            loaded = super().load_config(config_path)
        except (ValueError, LookupError, ArithmeticError, OmegaConfBaseException) as error:
            raise problem(path, f"cannot be read: {error}") from error
        _check_place(path, config_path, loaded.header["package"])
        _check_content(path, OmegaConf.to_container(loaded.config, resolve=False))
        return loaded


# ----------------------------------------------------------------------------- what it says


def _check_place(path: Path, config_path: str, package: str | None) -> None:
    """Where its keys go: below its group, or below a package."""
    group, *inner = posixpath.normpath(config_path).strip("/").split("/")
    if group == "hydra":
        raise refusal(path, "a configuration of Hydra itself")
    if package:
        _check_package(path, package, f"# @package {package}")
    elif inner and not is_key(group):
        astray = "its keys would be below a key that there is not"
        remedy = "make this its first line, before any comment: # @package _global_"
        raise UserError(str(path), group, astray, remedy=remedy)


def _check_package(path: Path, package: str, said: str) -> None:
    parts = package.split(".")
    if not PACKAGE.fullmatch(package) or {"hydra", "_group_", "_name_"} & {*parts}:
        raise refusal(path, said)


def _check_content(path: Path, content: Any) -> None:
    defaults = content.pop("defaults", None) or []
    for entry in defaults if isinstance(defaults, list) else [defaults]:
        _check_default(path, entry)
    for key, value in content.items():
        first, _, rest = str(key).partition(".")
        if first == "hydra":
            for dotted, leaf in _leaves(value, rest):
                _check_hydra(path, dotted, leaf)
    _check_node(path, "", content)


def _check_default(path: Path, entry: Any) -> None:
    """An entry of the defaults list: a file, or a group with its choice."""
    said = f"defaults: {entry}"
    pairs = [*entry.items()] if isinstance(entry, dict) else [(entry, None)]
    group, choice = pairs[0] if len(pairs) == 1 else (None, None)
    choices = choice if isinstance(choice, list) else [choice]
    found = GROUP.fullmatch(group) if isinstance(group, str) else None
    if not found or not all(each is None or _is_choice(each) for each in choices):
        raise problem(path, f"{said}: not understood", remedy="write a list of - group: file")
    name, package = found[1].lstrip("/"), found[2]
    if package:
        _check_package(path, package, said)
    if name.split("/")[0] == "hydra" and (name != LAUNCHER or package or "$" in str(choice)):
        raise refusal(path, said)


def _is_choice(choice: object) -> bool:
    return isinstance(choice, str) and bool(PATH.fullmatch(choice) or REFERENCE.fullmatch(choice))


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def _check_hydra(path: Path, dotted: str, value: Any) -> None:
    """A leaf below ``hydra``: a setting, or a key of ours with what is swept over."""
    found = PARAMS.fullmatch(dotted)
    swept = found[1] if found else ""
    setting = dotted in SETTINGS and isinstance(value, str | int)
    if not (swept or setting) or swept == "xsched.home":
        raise refusal(path, f"hydra.{dotted}".rstrip("."))
    if swept and not is_key(swept):
        remedy = did_you_mean(swept, all_keys())
        raise UserError(f"{path}: hydra.{dotted}", value, "there is no such key", remedy=remedy)


def _check_node(path: Path, key: str, node: Any) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            here = f"{key}.{name}".lstrip(".")
            if not isinstance(name, str):
                remedy = f"write it in quotes if you mean it: '{name}'"
                raise UserError(str(path), here, "a name must be a text", remedy=remedy)
            if SPECIAL.fullmatch(name):
                raise refusal(path, here)
            _check_node(path, here, value)
    elif isinstance(node, list):
        for value in node:
            _check_node(path, key, value)
    elif not isinstance(node, str | int | float | None):
        raise problem(path, f"{key}: a {type(node).__name__} is neither text nor number")
