"""What a check says: one line each, what they come to together, and how a terminal shows them.
Without rich, which may be what is missing."""

import os
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO


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


COLOURS = {State.ok: "32", State.warning: "33", State.error: "31"}
STATE_WIDTH, NAME_WIDTH = 9, 20
INDENT = STATE_WIDTH + NAME_WIDTH
#: As the runner's other tables.
PLAIN_WIDTH, WIDEST = 110, 140
SAYS = {
    State.ok: "all is well",
    State.warning: "trials can run; what is marked disturbs them or limits what they can be",
    State.error: "something does not work",
}


class Printer:
    """Writes a line at a time: state, name, what was found, and below it what to do."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        terminal = out.isatty()
        self._coloured = terminal and "NO_COLOR" not in os.environ
        wide = shutil.get_terminal_size().columns if terminal else PLAIN_WIDTH
        self._width = min(wide, WIDEST)

    def show(self, line: Line) -> None:
        state = self._colour(line.state, f"{line.state:<{STATE_WIDTH}}")
        self._write(f"{state}{line.name:<{NAME_WIDTH}}", line.found)
        if line.remedy:
            self._write(" " * INDENT, f"→ {line.remedy}", hang="  ")

    def conclude(self, lines: Sequence[Line]) -> None:
        """The verdict below all lines."""
        worst = verdict(lines)
        counts = [
            f"{count} {state}{'s' if count > 1 else ''}"
            for state in (State.error, State.warning)
            if (count := sum(line.state is state for line in lines))
        ]
        counted = f" ({', '.join(counts)})" if counts else ""
        print(f"\n{self._colour(worst, worst)}{counted}: {SAYS[worst]}", file=self._out)

    def _write(self, head: str, text: str, hang: str = "") -> None:
        rows = textwrap.wrap(
            text,
            max(20, self._width - INDENT),
            subsequent_indent=hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        print(head + f"\n{' ' * INDENT}".join(rows), file=self._out, flush=True)

    def _colour(self, state: State, text: str) -> str:
        return f"\033[{COLOURS[state]}m{text}\033[0m" if self._coloured else text
