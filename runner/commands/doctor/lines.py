"""What a check says: one line each, and what they come to together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """In order of weight. error: the product cannot be used, or something contradicts itself."""

    ok = "ok"
    warning = "warning"
    error = "error"

    @property
    def exit_code(self) -> int:
        return list(State).index(self)


@dataclass(frozen=True)
class Line:
    """remedy: what to do, "" for ok. details: what there is no room for on the screen."""

    name: str
    state: State
    found: str
    remedy: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def ok(name: str, found: str, /, **details: Any) -> Line:
    return Line(name, State.ok, found, "", details)


def warning(name: str, found: str, remedy: str, /, **details: Any) -> Line:
    return Line(name, State.warning, found, remedy, details)


def error(name: str, found: str, remedy: str, /, **details: Any) -> Line:
    return Line(name, State.error, found, remedy, details)


def verdict(lines: Iterable[Line]) -> State:
    """The worst of them."""
    return max((line.state for line in lines), key=lambda state: state.exit_code, default=State.ok)
