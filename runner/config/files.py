"""Configurations are data: a file from somebody else's paper must not be able to run code.

Files are judged where Hydra reads them, so those that are used are judged, however they were found,
and no others: first their limits, before anything is made of them, then what they say when parsed,
so that no spelling hides it. Hydra's own ``hydra`` node can run code: what is below
``hydra.callbacks.x._target_`` is imported and called before any of ours. So files may set no more
of it than `SETTINGS` and `PARAMS`. The project's own conf/config.yaml and launchers are trusted, as
code is.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra._internal.core_plugins.file_config_source import FileConfigSource as HydrasSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.errors import UserError, did_you_mean, nearest
from runner.config.hydra_errors import FURTHER_TASK, Said, no_group
from runner.config.limits import (
    LAUNCHER,
    REFERENCE,
    SETTINGS,
    UNREADABLE,
    check_limits,
    problem,
    refusal,
)
from runner.config.schema import is_key, is_path, keys_and_groups, keys_in, takes_list
from runner.config.shorthand import name_of, written_out

#: What a file may sweep over there.
PARAMS = re.compile(r"sweeper\.params\.(.+)")
NAME = r"[\w+=-][\w.+=-]*"
PATH = re.compile(rf"/?{NAME}(?:/{NAME})*")
GROUP = re.compile(rf"(?:(?:override|optional) )*({PATH.pattern})(?:@([^@]+))?")
PACKAGE = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
GLOBAL = "_global_"
DEFAULTS = "write a list of - group: file"
SPECIAL = re.compile(r"_\w+_")


def guard(conf: Path, own: Path | None = None) -> None:
    """From now on Hydra refuses files that are more than data, by a `UserError` that names them.
    conf: the project's folder; own: the user's, if one was named."""
    FileConfigSource.conf, FileConfigSource.own = conf, own
    FileConfigSource.used, FileConfigSource.chosen = {}, {}
    FileConfigSource.said = Said()
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource


class FileConfigSource(HydrasSource):
    """Hydra's reader of files, with a judge. It has the name of Hydra's, because the registry takes
    no other for files. used: the content of the choices that were read and are not the project's,
    by their path within their folder. chosen: by ``group/choice``, what the file of it chooses.
    said: what files say that Hydra may find wrong."""

    conf: ClassVar[Path | None] = None
    own: ClassVar[Path | None] = None
    used: ClassVar[dict[str, bytes]] = {}
    chosen: ClassVar[dict[str, list[str]]] = {}
    said: ClassVar[Said] = Said()

    def load_config(self, config_path: str) -> ConfigResult:
        name = self._normalize_file_name(config_path)
        path = Path(self.path, name)
        ours = Path(self.path) == self.conf
        if ours and name == "config.yaml":
            return super().load_config(config_path)
        if ours and self.own and (self.own / name).is_file():
            said = f"{self.own / name} is not read: {path} has the same name"
            raise UserError("", "", said, remedy="give it another name")
        # A process that a launcher started knows no folder; who started it has judged the files.
        main = ours or (self.conf is None and self.provider == "main")
        if main and name.startswith(f"{LAUNCHER}/"):
            return super().load_config(config_path)
        check_limits(path)
        try:
            loaded = super().load_config(config_path)
        except (*UNREADABLE, OmegaConfBaseException) as error:
            raise problem(path, f"cannot be read: {error}") from error
        place = _place(path, config_path, loaded.header["package"])
        # A file holds keys and values, or its limits have been passed.
        content: Any = OmegaConf.to_container(loaded.config, resolve=False)
        _check_content(path, place, content)
        if not place.package:
            self._check_tasks(path, content)
        for names, value in place.keys(content):
            if not isinstance(value, Mapping | list):
                self.said.values[".".join(names), str(value)] = path
        choices = [*_choices(place, content)]
        self.said.choices |= dict.fromkeys(choices, path)
        self._check_circle(path, name.removesuffix(".yaml"), choices)
        plain = written_out(place.package, content)
        if plain != content:
            loaded.config = OmegaConf.create(plain)
        if not ours and "/" in name and ".." not in name:
            self.used[name] = path.read_bytes()
        return loaded

    def _check_circle(self, path: Path, name: str, choices: list[str]) -> None:
        """A file that chooses itself, or one that does. What it chooses is read after it, so the
        last of a circle closes it."""
        self.chosen[name] = choices
        reached, todo = {name}, [*choices]
        while todo:
            if (each := todo.pop()) == name:
                raise problem(path, "chooses itself by its defaults list, or by what that chooses")
            if each not in reached:
                reached.add(each)
                todo += self.chosen.get(each, [])

    def _check_tasks(self, path: Path, content: Mapping[str, Any]) -> None:
        """Whoever chooses a task set and goes on to its tasks means those that it has."""
        wanted = (content.get("task_set") or {}).get("tasks") or {}
        for entry in content.get("defaults") or []:
            choice = entry.get("override /task_set") if isinstance(entry, Mapping) else None
            for folder in filter(None, (self.conf, self.own)):
                file = folder / "task_set" / f"{choice}.yaml"
                known = _tasks_in(file) if file.is_file() else wanted
                for name in wanted:
                    if name not in known:
                        key, said = f"{path}: task_set.tasks", f"{choice} has no such task"
                        raise UserError(key, name, said, known, FURTHER_TASK)


def _tasks_in(file: Path) -> Mapping[str, Any]:
    """The tasks of a task set that Hydra has read, or is about to read."""
    check_limits(file)
    content: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    return content.get("tasks") or {}


# ----------------------------------------------------------------------------- where its keys go


@dataclass(frozen=True)
class Place:
    """group: the folder of a file, "" of one without. package: the names that its keys are below.
    header: the package that its first line names, None if it names none."""

    group: str
    package: tuple[str, ...]
    header: str | None

    @property
    def is_known(self) -> bool:
        """Not of a file without group and package: it may be meant for any place."""
        return bool(self.group or self.header)

    def keys(self, content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
        """What is in the file, by the names that lead there in the whole configuration."""
        return _paths(self.package, content)


def _place(path: Path, config_path: str, header: str | None) -> Place:
    """Below its group, or below a package. Raises `UserError` where there is no such key."""
    group, *inner = posixpath.normpath(config_path).strip("/").split("/")
    if group == "hydra":
        raise refusal(path, "a configuration of Hydra itself")
    if not inner:
        group = ""
    if header:
        _check_package(path, header, f"# @package {header}")
        names = tuple(header.split("."))
        return Place(group, names[1:] if names[0] == GLOBAL else names, header)
    if group and not is_key(group):
        astray = "its keys would be below a key that there is not"
        remedy = f"make this its first line, before any comment: # @package {GLOBAL}"
        raise UserError(str(path), group, astray, remedy=remedy)
    return Place(group, (group,) if group else (), None)


def _choices(place: Place, content: Mapping[str, Any]) -> Iterator[str]:
    """What its defaults list chooses, by ``group/choice``."""
    for entry in content.get("defaults") or []:
        for name, choice in entry.items() if isinstance(entry, Mapping) else [("", entry)]:
            found = GROUP.fullmatch(name)
            group = found[1].lstrip("/") if found else place.group
            for each in choice if isinstance(choice, list) else [choice]:
                yield f"{group}/{each}".lstrip("/")


def _check_package(path: Path, package: str, said: str) -> None:
    parts = package.split(".")
    if not PACKAGE.fullmatch(package) or {"hydra", "_group_", "_name_"} & {*parts}:
        raise refusal(path, said)
    if parts[0] != GLOBAL and not is_key(package):
        remedy = f"did you mean: # @package {GLOBAL}"
        raise UserError("", "", f"{path}: {said}: there is no such key", remedy=remedy)


def _paths(place: tuple[str, ...], node: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key with what it holds, a group before what is in it."""
    named = node.items() if isinstance(node, Mapping) else enumerate(node)
    for name, value in named:
        here = (*place, str(name))
        yield here, value
        if isinstance(value, Mapping | list):
            yield from _paths(here, value)


# ----------------------------------------------------------------------------- what it says


def _check_content(path: Path, place: Place, content: Mapping[str, Any]) -> None:
    own = {key: value for key, value in content.items() if key != "defaults"}
    defaults = content.get("defaults", [])
    if not isinstance(defaults, list):
        raise problem(path, f"defaults: {defaults}: not understood", remedy=DEFAULTS)
    for entry in defaults:
        _check_default(path, place, entry)
    for key, value in own.items():
        first, _, rest = str(key).partition(".")
        if first == "hydra":
            for dotted, leaf in _leaves(value, rest):
                _check_hydra(path, dotted, leaf)
    _check_node(path, "", own)
    if place.is_known:
        _check_keys(path, place, {key: each for key, each in own.items() if key != "hydra"})


def _check_keys(path: Path, place: Place, content: Mapping[str, Any]) -> None:
    for names, value in place.keys(content):
        inner, key = keys_in(names), ".".join(names)
        given = "{…}" if isinstance(value, Mapping) else "[…]" if isinstance(value, list) else value
        if _of_a_list(names, value):
            continue
        if not is_path(names):
            remedy = did_you_mean(key, keys_and_groups())
            if not place.package and is_path((place.group, *names)):
                remedy = f"take away its line # @package {place.header}"
            elif names[:2] == (place.group, place.group):
                remedy = f"all keys of this file are below {place.group}: take that level away"
            raise UserError(f"{path}: {key}", given, "there is no such key", remedy=remedy)
        if not inner and isinstance(value, Mapping | list):
            remedy = f"to sweep over several: hydra: {{sweeper: {{params: {{{key}: '…,…'}}}}}}"
            raise UserError(f"{path}: {key}", given, "it takes one value", remedy=remedy)
        holds: type[Any] = list if inner == ["<number>"] else Mapping
        named = isinstance(value, str) and name_of(names)
        if inner and not isinstance(value, holds) and not named:
            shown = "null" if given is None else given
            raise problem(path, str(no_group(key, shown, inner)), remedy="")


def _of_a_list(names: Sequence[str], value: Any) -> bool:
    """Whether it is the list that a key takes, or a value in that."""
    if isinstance(value, list):
        return takes_list(names)
    return not isinstance(value, Mapping) and takes_list(names[:-1])


def _check_default(path: Path, place: Place, entry: Any) -> None:
    """An entry of the defaults list: a file, or a group with its choice."""
    said = f"defaults: {entry}"
    pairs = [*entry.items()] if isinstance(entry, dict) else [(entry, None)]
    group, choice = pairs[0] if len(pairs) == 1 else (None, None)
    choices = choice if isinstance(choice, list) else [choice]
    found = GROUP.fullmatch(group) if isinstance(group, str) else None
    if not found or not all(each is None or _is_choice(each) for each in choices):
        raise problem(path, f"{said}: not understood", remedy=DEFAULTS)
    name, package = found[1].lstrip("/"), found[2]
    if package:
        _check_package(path, package, said)
    if name.split("/")[0] == "hydra" and (name != LAUNCHER or package or "$" in str(choice)):
        raise refusal(path, said)
    if choice and not package and place.group and name != LAUNCHER:
        _check_override(path, str(group), name, choice)


def _check_override(path: Path, group: str, name: str, choice: object) -> None:
    """Whoever has a file chosen by a file in a group means to replace the choice that there is."""
    wanted = f"override /{name}"
    if group != wanted and is_key(name):
        remedy = f"write - {wanted}: {choice}"
        raise problem(path, f"defaults: {group}: {choice} replaces no choice", remedy=remedy)
    if group == wanted and not is_key(name):
        guess = nearest(name, [key for key in keys_and_groups() if "." not in key])
        remedy = f"did you mean: override /{guess}" if guess else "correct the file"
        raise problem(path, f"defaults: {group}: there is no such group", remedy=remedy)


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
    if swept and value is None:
        said, remedy = "nothing to sweep over", "write [solo, xsched], or 'solo,xsched'"
        raise UserError(f"{path}: hydra.{dotted}", "null", said, remedy=remedy)
    if swept and not is_key(swept):
        remedy = did_you_mean(swept, keys_and_groups())
        raise UserError(f"{path}: hydra.{dotted}", value, "there is no such key", remedy=remedy)


def _check_node(path: Path, key: str, node: Any) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            here = f"{key}.{name}".lstrip(".")
            if not isinstance(name, str):
                remedy = f"write it in quotes if you mean it: '{name}'"
                if isinstance(name, bool):
                    remedy = "YAML takes yes, no, on and off for true and false: write it in quotes"
                raise UserError(str(path), here, "a name must be a text", remedy=remedy)
            if SPECIAL.fullmatch(name):
                raise refusal(path, here)
            _check_node(path, here, value)
    elif isinstance(node, list):
        for value in node:
            _check_node(path, key, value)
    elif not isinstance(node, str | int | float | None):
        raise problem(path, f"{key}: a {type(node).__name__} is neither text nor number")
