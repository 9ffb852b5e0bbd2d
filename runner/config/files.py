"""Configurations are data: a file from somebody else's paper must not be able to run code.

Files are judged where Hydra reads them, so those that are used are judged, however they were found,
and no others: first their limits, before anything is made of them, then what they say when parsed,
so that no spelling hides it. Hydra's own ``hydra`` node can run code: what is below
``hydra.callbacks.x._target_`` is imported and called before any of ours. So files may set no more
of it than `SETTINGS` and `PARAMS`. The project's own conf/config.yaml is trusted, as code is.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource as HydrasSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.errors import UserError, did_you_mean
from runner.config.schema import all_keys, is_key

#: What a file may set below ``hydra``, and what it may sweep over there.
SETTINGS, PARAMS = ("mode", "launcher.n_jobs"), re.compile(r"sweeper\.params\.(.+)")
#: What it may choose by its defaults list. Hydra finds launchers that are installed by their names.
LAUNCHER = "hydra/launcher"
#: Of a file; an alias counts as all that it stands for.
MOST_BYTES, MOST_DEPTH, MOST_NODES, MOST_DIGITS = 10**6, 100, 20_000, 100
TAGS = [f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "seq", "map")]

NAME = r"[\w+=-][\w.+=-]*"
PATH = re.compile(rf"/?{NAME}(?:/{NAME})*")
GROUP = re.compile(rf"(?:(?:override|optional) )*({PATH.pattern})(?:@([^@]+))?")
PACKAGE = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
#: The value of another key. With a colon it is a resolver, which reads or runs something.
REFERENCE = re.compile(r"\$\{\.*([A-Za-z]\w*(?:\.[\w-]+)*)\}")
NUMBER = re.compile(r"[-+.:\w]+")
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
            raise _problem(path, f"cannot be read: {error}") from error
        _check_place(path, config_path, loaded.header["package"])
        _check_content(path, OmegaConf.to_container(loaded.config, resolve=False))
        return loaded


# ----------------------------------------------------------------------------- its limits


def check_limits(path: Path) -> None:
    """Refuse, within a moment and before anything is made of it, a file that is no plain YAML or
    would grow beyond all bounds. Raises `UserError` naming file and line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _problem(path, f"is larger than {MOST_BYTES:,} bytes")
        content = path.read_bytes()
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        raise _problem(path, f"is not UTF-8: {error.reason}", line, "save it as UTF-8") from error
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror}") from error
    try:
        _check_events(path, yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _problem(path, str(error.problem), mark.line if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = content.count(b"\n", 0, error.position)
        raise _problem(path, str(error.reason), line) from error


def _check_events(path: Path, events: Iterable[yaml.Event]) -> None:
    nodes = 0
    sizes: dict[str, int] = {}  # of what an alias may stand for
    within: list[tuple[str | None, int]] = []  # what has begun: its anchor, the nodes before it
    for event in events:
        line = event.start_mark.line if event.start_mark else 0
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = within.pop()
            sizes |= {anchor: nodes - before} if anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _problem(path, f"*{event.anchor} stands for itself, or for nothing", line)
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            if not within and not isinstance(event, yaml.MappingStartEvent):
                raise _problem(path, "holds no keys and values", line)
            tag: str | None = getattr(event, "tag", None)
            if tag and tag not in TAGS:
                raise _problem(path, f"the tag {tag} is not data", line)
            nodes += 1
            if isinstance(event, yaml.ScalarEvent):
                sizes |= {event.anchor: 1} if event.anchor else {}
                _check_text(path, event.value, line)
                if len(event.value) > MOST_DIGITS and event.implicit[0]:
                    _check_number(path, event.value, line)
            else:
                within.append((event.anchor, nodes - 1))
        if len(within) > MOST_DEPTH:
            raise _problem(path, f"is nested more than {MOST_DEPTH} deep", line)
        if nodes > MOST_NODES:
            raise _problem(path, f"comes to more than {MOST_NODES:,} keys and values", line)


def _check_number(path: Path, text: str, line: int) -> None:
    """Python takes minutes over the longest numbers, and refuses those below."""
    if text[0] in "-+.0123456789" and NUMBER.fullmatch(text):
        raise _problem(path, f"a number of more than {MOST_DIGITS} digits", line)


def _check_text(path: Path, text: str, line: int | None = None) -> None:
    """One reference at most: two in each of a chain of texts would double its length each time."""
    if re.search("[\0\ud800-\udfff]", text):
        raise _problem(path, f"a text with {text[:40]!a}, which is no character", line)
    found = REFERENCE.search(text)
    if "${" in text and (not found or text.count("${") > 1):
        raise _problem(path, f"{text[:80]}: a text may look up one key, as ${{model.name}}", line)
    if found and found[1].startswith("hydra"):
        raise _refusal(path, text)


# ----------------------------------------------------------------------------- what it says


def _check_place(path: Path, config_path: str, package: str | None) -> None:
    """Where its keys go: below its group, or below a package."""
    group, *inner = posixpath.normpath(config_path).strip("/").split("/")
    if group == "hydra":
        raise _refusal(path, "a configuration of Hydra itself")
    if package:
        _check_package(path, package, f"# @package {package}")
    elif inner and not is_key(group):
        raise UserError(
            str(path),
            group,
            "its keys would be below a key that there is not",
            remedy="make this its first line, before any comment: # @package _global_",
        )


def _check_package(path: Path, package: str, said: str) -> None:
    parts = package.split(".")
    if not PACKAGE.fullmatch(package) or {"hydra", "_group_", "_name_"} & {*parts}:
        raise _refusal(path, said)


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
        raise _problem(path, f"{said}: not understood", remedy="write a list of - group: file")
    name, package = found[1].lstrip("/"), found[2]
    if package:
        _check_package(path, package, said)
    if name.split("/")[0] == "hydra" and (name != LAUNCHER or package or "$" in str(choice)):
        raise _refusal(path, said)


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
        raise _refusal(path, f"hydra.{dotted}".rstrip("."))
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
                raise _refusal(path, here)
            _check_text(path, name)
            _check_node(path, here, value)
    elif isinstance(node, list):
        for value in node:
            _check_node(path, key, value)
    elif isinstance(node, str):
        _check_text(path, node)
    elif not isinstance(node, int | float | None):
        raise _problem(path, f"{key}: a {type(node).__name__} is neither text nor number")


def _problem(
    path: Path, what: str, line: int | None = None, remedy: str = "correct the file"
) -> UserError:
    place = str(path) if line is None else f"{path}, line {line + 1}"
    return UserError("", "", f"{place}: {what}", remedy=remedy)


def _refusal(path: Path, what: str) -> UserError:
    return UserError(
        str(path),
        what,
        "a configuration file is data and may not change how Hydra itself runs",
        [*(f"hydra.{key}" for key in SETTINGS), "hydra.sweeper.params", f"a choice of {LAUNCHER}"],
        remedy="give it on the command line if you mean it",
    )
