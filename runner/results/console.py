"""The terminal, and tables in it. What cannot be shown must not end a measurement: output that
nobody takes (a closed pipe, a full disk, an encoding without the letter) is dropped."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

#: Of what is no terminal: a line is as long as it is.
UNLIMITED = 10_000
#: Behind a quantile of so few requests that it is the largest of them.
IS_MAXIMUM = " max"


class Sink:
    """Standard output that never fails; `failed`: why something of it was dropped. One that was
    closed from the start is wanted by nobody, as /dev/null."""

    def __init__(self) -> None:
        self.failed: OSError | ValueError | None = None

    @property
    def _stream(self) -> TextIO | None:
        """Asked at each call: it may be replaced. What rich puts in its place while a display is
        live writes to us."""
        return getattr(sys.stdout, "rich_proxied_file", sys.stdout)

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return bool(self._stream and not self._stream.closed and self._stream.isatty())

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("there is no standard output")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        plain = text.encode(self.encoding, "replace").decode(self.encoding)
        self._try("write", plain)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def _try(self, method: str, *arguments: Any) -> None:
        if self._stream is None:
            return
        try:
            getattr(self._stream, method)(*arguments)
        except (OSError, ValueError) as error:
            self.failed = error
            self._to_nowhere()

    def _to_nowhere(self) -> None:
        """So that what is still in the stream's buffer does not fail when Python ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


class Console(RichConsole):
    """Text is shown as it is: paths and reasons are no markup. verbose: whether a sweep ends with
    all that is known of it, and not with what it came to. only_end: whether nothing is shown while
    it runs."""

    def __init__(self, sink: Sink) -> None:
        width = None if sink.isatty() else UNLIMITED
        super().__init__(
            file=sink,  # type: ignore[arg-type]  # has what rich calls of a text file
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._sink = sink
        self.verbose = False
        self.only_end = False

    def no_terminal(self) -> None:
        """From now on nothing is shown in place: other processes write there, too."""
        self._force_terminal = False

    def turn_to(self, stream: TextIO) -> None:
        """From now on all is shown there, as wide as that is."""
        self.file = stream
        self._width = None if stream.isatty() else UNLIMITED

    @property
    def lost(self) -> bool:
        """Whether something could not be shown."""
        return self._sink.failed is not None

    def finish(self) -> None:
        """For a command of which all that it does is to be seen there. Raises the OSError that
        something was lost to; a reader who has seen enough is none."""
        self._sink.flush()
        failed = self._sink.failed
        if isinstance(failed, OSError) and not isinstance(failed, BrokenPipeError):
            raise failed


console = Console(Sink())


def table(*heads: str, left: Sequence[str] = (), minor: Sequence[str] = ()) -> "Table":
    """A table to be filled; left, minor: heads. The first column is to the left, too, the others
    are to the right."""
    return Table(heads, (heads[0], *left), minor)


@dataclass
class Table:
    """A plain table of which nothing is cut: where it is too wide it does without minor columns,
    the last first, and then cells run over several lines."""

    heads: Sequence[str]
    left: Sequence[str]
    minor: Sequence[str]
    rows: list[tuple[Sequence[str | Text], str | None]] = field(default_factory=list)

    def add_row(self, *cells: str | Text, style: str | None = None) -> None:
        """A cell under each head, from the first on."""
        self.rows.append((cells, style))

    def __rich_console__(self, terminal: RichConsole, options: ConsoleOptions) -> RenderResult:
        unlimited = options.update_width(UNLIMITED)
        for kept in range(len(self.minor), -1, -1):
            made = self._without(self.minor[kept:])
            if Measurement.get(terminal, unlimited, made).maximum <= options.max_width:
                break
        yield made

    def _without(self, left_out: Sequence[str]) -> RichTable:
        made = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        shown = [at for at, head in enumerate(self.heads) if head not in left_out]
        for head in (self.heads[at] for at in shown):
            made.add_column(head, justify="left" if head in self.left else "right", overflow="fold")
        for cells, style in self.rows:
            made.add_row(*(cells[at] for at in shown if at < len(cells)), style=style)
        return made
