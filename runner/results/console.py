"""The terminal, and tables in it."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 130

console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def table(*columns: str) -> Table:
    """A plain table: first column left, the others right."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        result.add_column(column, justify="left" if at == 0 else "right", no_wrap=True)
    return result
