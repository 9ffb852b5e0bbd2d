"""Output that nobody takes is dropped, and said to have been."""

import io
import os
import pty
import subprocess
import sys
from contextlib import nullcontext, suppress
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from runner.results.console import Console, Sink, table
from tests.conftest import environment


def console() -> Console:
    return Console(Sink())


def test_text_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    shown = console()
    for text in ("m[/b]", "[red]a[/red]", "C:\\a\\[b]", ":smile:", "%20 # ?"):
        shown.print(text)
        assert capsys.readouterr().out == f"{text}\n"
    assert not shown.lost


def test_an_encoding_without_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    shown = console()
    shown.print("3 · 4 – µs \ud800")
    shown.print(table("a", "b"))
    assert raw.getvalue().startswith(b"3 ? 4 ? ?s ?\n")
    assert not shown.lost, "letters are no loss"


def test_it_is_as_wide_as_what_it_turns_to() -> None:
    shown, log = console(), io.StringIO()
    shown.turn_to(log)
    shown.print("x" * 500)
    assert log.getvalue() == f"{'x' * 500}\n"
    parent, child = pty.openpty()
    with open(child, "w") as terminal:
        shown.turn_to(terminal)
        assert shown.is_terminal
        assert shown.width < 500
    os.close(parent)


def captured(width: int) -> str:
    written = io.StringIO()
    rows = table("arm", "p99", "proof", "runs", left=["proof"], minor=["proof", "runs"])
    rows.add_row("xsched, threshold=64", "12.5", "not claimed", "3")
    RichConsole(file=written, width=width).print(rows)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines() if line.strip())


WIDE = """\
 arm                    p99  proof        runs
 ─────────────────────────────────────────────
 xsched, threshold=64  12.5  not claimed     3"""
NARROW = """\
 arm                    p99
 ──────────────────────────
 xsched, threshold=64  12.5"""
NARROWER = """\
 arm             p99
 ───────────────────
 xsched,        12.5
 threshold=64"""


@pytest.mark.parametrize(
    ("width", "shown"), [(10_000, WIDE), (47, WIDE), (30, NARROW), (28, NARROW), (21, NARROWER)]
)
def test_a_table_does_without_minor_columns_and_then_breaks_lines(width: int, shown: str) -> None:
    assert captured(width) == shown


def test_a_pipe_takes_lines_as_long_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("word " * 200)
    assert len(capsys.readouterr().out.splitlines()) == 1


class Refusing(io.StringIO):
    """A pipe that nobody reads, or a disk that is full."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed")]
)
def test_output_that_nobody_takes_is_dropped(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(error))
    shown = console()
    shown.print("something")
    shown.print(table("a"))
    assert shown.lost


@pytest.mark.parametrize(
    ("error", "told"),
    [(BrokenPipeError(), False), (OSError(28, "No space left on device"), True)],
)
def test_a_command_that_only_shows_fails_where_there_is_no_space_for_it(
    error: Exception, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing(error))
    shown = console()
    shown.print("something")
    with pytest.raises(OSError, match="No space") if told else nullcontext():
        shown.finish()


def test_a_closed_output_is_wanted_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    shown = console()
    shown.print("something")
    assert not shown.lost


@pytest.mark.parametrize(
    ("output", "code"),
    [(">/dev/full", 1), ("| head -c 1 >/dev/null", 1), (">&-", 0), (">/dev/null", 0), ("", 0)],
)
def test_the_end_of_the_process_is_quiet(output: str, code: int, tmp_path: Path) -> None:
    """What is left in a buffer must not fail when Python ends."""
    script = tmp_path / "said.py"
    script.write_text(
        "import sys\nfrom runner.results.console import console\n"
        "for _ in range(5000): console.print('a line of text')\nsys.exit(int(console.lost))\n"
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} {script} {output}"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, "")


LIVE = """
from rich.live import Live
from runner.results.console import console
with Live(console=console, auto_refresh=False, transient=True) as live:
    for number in range(3):
        live.update(f"number {number}", refresh=True)
        console.print("beside it")
        print("by somebody else")
console.print("done")
assert not console.lost
"""


def test_a_display_that_is_live_in_a_terminal() -> None:
    """Rich then puts something of its own in place of the standard output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE],
        env=environment() | {"TERM": "xterm"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # the other side has ended
        while wait([ours], 30) and (piece := os.read(ours, 4096)):
            seen += piece
    os.close(ours)
    try:
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, err.decode()
    assert seen.count(b"beside it") == seen.count(b"by somebody else") == 3
    assert b"number 2" in seen
    assert seen.rstrip().endswith(b"done")
