"""A table as all its forms share it: the page, the terminal and Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

GOOD, BAD, SOFT, NEITHER = "good", "bad", "soft", ""


class Mark(NamedTuple):
    """Words with a judgement."""

    text: str
    kind: str = NEITHER


class Cell(NamedTuple):
    """What stands under the head of a column. kind: number (to the right), text (runs over several
    lines) or neither. minor: a narrow terminal does without the column, the last such first."""

    head: str
    content: str | Mark
    kind: str = ""
    minor: bool = False

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else self.content.text


def number(head: str, content: str, minor: bool = False) -> Cell:
    return Cell(head, content, "number", minor)


class Line(NamedTuple):
    """A row; below: what is said under it over its whole width."""

    cells: Sequence[Cell]
    below: str = ""


#: All lines have the same columns; a table without lines is not shown.
Table = Sequence[Line]


def as_markdown(table: Table) -> str:
    """The table without what is said below its rows."""
    if not table:
        return ""
    heads = [cell.head for cell in table[0].cells]
    rules = ["---:" if cell.kind == "number" else "---" for cell in table[0].cells]
    rows = [[cell.text for cell in line.cells] for line in table]
    return "\n".join([_row(heads), f"| {' | '.join(rules)} |", *map(_row, rows)])


def _row(texts: Sequence[str]) -> str:
    # MLflow leaves no room between columns, and drops blanks that may be broken.
    return "".join(f"| {_literal(text)}&nbsp; " for text in texts) + "|"


def _literal(text: str) -> str:
    return text.replace("|", r"\|")
