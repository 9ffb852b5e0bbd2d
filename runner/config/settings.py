"""A configuration by dotted keys, as runs and the points of a sweep are told apart by it."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from runner.config.arms import Arm
from runner.config.schema import Config

#: What a choice of these groups is called by; of all others by their ``name``.
CALLED_BY = {"xsched": "xsched.policy", "arrival": "arrival.process"}


def parameters_of(config: Config) -> dict[str, Any]:
    """By dotted key, as they are read back from a config.yaml."""
    return flat(_plain(config))


def _plain(node: Any) -> Any:
    """Without OmegaConf, which takes 20 ms over a configuration."""
    if is_dataclass(node):
        return {each.name: _plain(getattr(node, each.name)) for each in fields(node)}
    if isinstance(node, dict):
        return {name: _plain(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node.name if isinstance(node, Enum) else node


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration by dotted keys."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def setting(
    key: str, arm: str, values: Mapping[str, str | None], parameters: Mapping[str, Any]
) -> str | None:
    """See `runner.runs.run.Run.setting`; of a run, or of a point that will be one."""
    if key == "arm":
        return arm
    if key in values:
        return values[key]
    return str(parameters.get(key, parameters.get(CALLED_BY.get(key, f"{key}.name"))))


def depends(arm: str, key: str) -> bool:
    """Whether a run of this arm depends on the key."""
    if (known := Arm.known(arm)) and known.uses_xsched:
        return True
    return "xsched" not in key.split(".")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class HasSettings(Protocol):
    """A run, or a point of a sweep that will be one."""

    def setting(self, key: str) -> str | None: ...


Selected = TypeVar("Selected", bound=HasSettings)


def select(selector: str, runs: Iterable[Selected]) -> list[Selected]:
    """The runs that a selector means; one that does not depend on a swept key serves all its
    values."""
    wanted = dict(token.split("=", 1) for token in selector.split())
    return [
        run
        for run in runs
        if all(run.setting(key) in (value, None) for key, value in wanted.items())
    ]
