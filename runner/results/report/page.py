"""The report as one HTML page that needs nothing else: what there is to write, and the template
that writes it. Knows nothing of runs."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jinja2

GOOD, BAD, SOFT, NEITHER = "good", "bad", "soft", ""


class Mark(NamedTuple):
    """Words with a judgement."""

    text: str
    kind: str = NEITHER


class Cell(NamedTuple):
    """What stands under the head of a column. kind: number (to the right), text (runs over several
    lines) or neither."""

    head: str
    content: str | Mark
    kind: str = ""


def number(head: str, content: str) -> Cell:
    return Cell(head, content, "number")


class Line(NamedTuple):
    """A row; below: what is said under it over its whole width."""

    cells: Sequence[Cell]
    below: str = ""


#: All lines have the same columns; a table without lines is not shown.
Table = Sequence[Line]


@dataclass(frozen=True)
class Drawing:
    """A drawing in its files, `stem` with .pdf and .png, and what a reader must know of it."""

    stem: str
    caption: str
    image: Path

    @property
    def base64(self) -> str:
        """The image as a page embeds it."""
        return base64.b64encode(self.image.read_bytes()).decode()


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
    drawings: Mapping[str, Sequence[Drawing]]
    baseline: str
    primary: Table
    secondary: Table
    latencies: Table
    proof: Table
    runs: Table

    def html(self) -> str:
        rules = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        template = Path(__file__).with_suffix(".html").read_text()
        return rules.from_string(template).render(page=self)
