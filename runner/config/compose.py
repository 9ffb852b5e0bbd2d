"""The configurations of many points that differ in a few values.

Hydra takes a tenth of a second over each. So it composes once for each choice of groups, and of the
other points the values that differ are put into a copy. That gives what Hydra would give, for it,
too, puts values in one by one when all else is composed. Where that is not certain, and where a
value is wrong, Hydra composes the point.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.command_line import parsed
from runner.config.resolve import as_objects, typed
from runner.config.schema import Config, is_leaf

#: From overrides to the configuration, by Hydra.
Compose = Callable[[list[str]], DictConfig]
#: To OmegaConf a text with these is a reference, or a value that is still to come.
NO_PLAIN_TEXT = ("$", "???")


@dataclass(frozen=True)
class _Base:
    """A point that Hydra composed. typed: the same, which knows the types of keys; what values have
    become of it is no matter."""

    overrides: frozenset[str]
    config: Config
    typed: DictConfig


class Configurations:
    """Those of a sweep's points."""

    def __init__(self, compose: Compose) -> None:
        self._compose = compose
        #: By what points must have in common; None where Hydra composes each of them.
        self._bases: dict[tuple[tuple[str, ...], ...], _Base | None] = {}

    def of(self, overrides: Sequence[str]) -> Config:
        """A point's own, to be changed at will. Raises what Hydra and OmegaConf raise for what is
        wrong."""
        plain = {text: values for text in overrides if (values := _plain(text))}
        others = tuple(text for text in overrides if text not in plain)
        keys = tuple(key for values in plain.values() for key in values)
        if base := self._bases.get((others, keys)):
            changed = [values for text, values in plain.items() if text not in base.overrides]
            if config := _changed(base, changed):
                return config
        composed = self._compose([*overrides])
        known = typed(composed)
        config = as_objects(known)
        if (others, keys) not in self._bases:
            certain = _are_apart(others, keys) and not _is_more(composed, known, keys)
            base = _Base(frozenset(overrides), copy.deepcopy(config), known)
            self._bases[others, keys] = base if certain else None
        return config


def _changed(base: _Base, changes: Iterable[Mapping[str, Any]]) -> Config | None:
    """The base with other values; None if one of them is wrong."""
    config = copy.deepcopy(base.config)
    for key, value in (item for values in changes for item in values.items()):
        try:
            OmegaConf.update(base.typed, key, value)
        except OmegaConfBaseException:
            return None
        _put(config, key, OmegaConf.select(base.typed, key))
    return config


def _put(config: Config, key: str, value: Any) -> None:
    node: Any = config
    *path, name = key.split(".")
    for part in path:
        node = node[part] if isinstance(node, dict) else getattr(node, part)
    setattr(node, name, value)


# --- what is certain -----------------------------------------------------------------------------


@cache
def _plain(text: str) -> Mapping[str, Any]:
    """What an override sets, by key, if that is the value of a key and no more, or of some keys of
    a group (``{a:1,b:2}``); else {}."""
    (override,) = parsed([text])
    if override.is_add() or override.is_force_add() or override.is_delete() or override.package:
        return {}
    values = list(_leaves(override.key_or_group, override.value()))
    return dict(values) if all(_is_plain(*each) for each in values) else {}


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{key}.{name}", inner)
    else:
        yield key, value


def _is_plain(key: str, value: Any) -> bool:
    if isinstance(value, str) and any(each in value for each in NO_PLAIN_TEXT):
        return False
    names = key.split(".")
    in_list = any(name.isdigit() for name in names)
    return (
        is_leaf(names) and not in_list and (value is None or isinstance(value, str | int | float))
    )


def _are_apart(others: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether no override sets what another one sets: then their order makes no difference. Choices
    of groups come before all values."""
    set_otherwise = [
        each.key_or_group
        for each in parsed(others)
        if "." in each.key_or_group or not isinstance(each.value(), str)
    ]
    return len(set(keys)) == len(keys) and not any(
        f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
        for other in set_otherwise
        for key in keys
    )


def _is_more(composed: DictConfig, known: DictConfig, keys: Iterable[str]) -> bool:
    """Whether other values follow from those of keys, by a reference, or files from a key that is a
    group of the user's own."""
    params = OmegaConf.select(composed, "hydra.sweeper.params")
    choices = OmegaConf.select(composed, "hydra.runtime.choices") or {}
    return "${" in f"{known} {params}" or any(key in choices for key in keys)
