"""The report as one HTML page that needs nothing else: what there is to write, and the template
that writes it. Knows nothing of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import jinja2

GOOD, BAD, SOFT, NEITHER = "good", "bad", "soft", ""


class Mark(NamedTuple):
    """Words with a judgement."""

    text: str
    kind: str = NEITHER


Cell = str | Mark


class Column(NamedTuple):
    """A column's head. kind: number (to the right), text (runs over several lines) or neither."""

    head: str
    kind: str = ""


def words(*heads: str) -> list[Column]:
    return [Column(head) for head in heads]


def numbers(*heads: str) -> list[Column]:
    return [Column(head, "number") for head in heads]


def text(head: str) -> Column:
    return Column(head, "text")


class Line(NamedTuple):
    """A row; below: what is said under it over its whole width."""

    cells: Sequence[Cell]
    below: str = ""


@dataclass(frozen=True)
class Table:
    """One without lines is not shown."""

    columns: Sequence[Column] = ()
    lines: Sequence[Line] = ()


class Image(Protocol):
    """A drawing to be embedded; its caption names its files, `stem` with .pdf and .png."""

    @property
    def stem(self) -> str: ...

    @property
    def caption(self) -> str: ...

    @property
    def base64(self) -> str: ...


@dataclass(frozen=True)
class Page:
    """The report, from top to bottom. environment: names and values; those without a value are left
    out. folder: where the files of the drawings are, as a link from the page. drawings: by heading.
    baseline: "" for no comparison."""

    title: str
    command: str
    verdicts: Sequence[Mark]
    asides: Sequence[Mark]
    points: Table
    environment: Sequence[tuple[str, str]]
    expected: Table
    folder: str
    drawings: Mapping[str, Sequence[Image]]
    baseline: str
    primary: Table
    secondary: Table
    latencies: Table
    proof: Table
    runs: Table

    def html(self) -> str:
        return _template().render(page=self)


@cache
def _template() -> jinja2.Template:
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(
        loader=folder, autoescape=True, undefined=jinja2.StrictUndefined
    ).get_template("page.html")
