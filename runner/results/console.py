"""The terminal, and tables in it. What cannot be shown must not end a measurement: output that
nobody takes (a closed pipe, a full disk, an encoding without the letter) is dropped."""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console as RichConsole
from rich.table import Table

PLAIN_WIDTH = 130
#: Behind a quantile of so few requests that it is the largest of them.
IS_MAXIMUM = " max"


class Sink:
    """Standard output that never fails; `lost`: whether something of it was dropped. One that was
    closed from the start is wanted by nobody, as /dev/null."""

    def __init__(self) -> None:
        self.lost = False

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
        except (OSError, ValueError):
            self.lost = True
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
        width = None if sink.isatty() else PLAIN_WIDTH
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

    @property
    def lost(self) -> bool:
        """Whether something could not be shown."""
        return self._sink.lost


console = Console(Sink())


def table(*columns: str) -> Table:
    """A plain table: first column left, the others right."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(columns):
        result.add_column(column, justify="left" if at == 0 else "right", no_wrap=True)
    return result
