"""An entry by the ordinary command, in a process of its own: so one that ends badly ends alone, and
leaves nothing to the next."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
from hydra.core.override_parser.types import Quote, QuotedString

from runner.commands.campaign.file import Entry
from runner.config.errors import UserError
from runner.sweep.display import Outlook
from runner.sweep.result import Result

RUNNER = (sys.executable, "-m", "runner")
STDOUT = 1
WRONG, INTERRUPTED = 2, 130


def plan(entry: Entry, root: Path) -> Outlook:
    """What the entry has to do, with its results below `root`. Raises `UserError` for what the
    runner refuses."""
    done = subprocess.run(_command(entry, root, "dry_run=true"), capture_output=True, text=True)
    if done.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    if done.returncode == WRONG:  # before it, there may be warnings
        raise UserError("", "", done.stderr.rpartition("error: ")[2].strip())
    outlook = _result(done.stdout.encode(), done.returncode).outlook
    if outlook is None:
        raise RuntimeError(f"{entry.run}: the runner could not plan it:\n{done.stderr}")
    return outlook


def run(entry: Entry, root: Path) -> Result:
    """Run what is missing of it, and show all as the runner does. After Ctrl-C the exit code is the
    runner's own for it."""
    sys.stdout.flush()
    process = subprocess.Popen(_command(entry, root), stdout=subprocess.PIPE, stderr=STDOUT)
    with process:
        try:
            said, _ = process.communicate()
        except KeyboardInterrupt:
            # A terminal has told both; who has heard it already takes it for the same.
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate()
    return _result(said, process.returncode)


def _command(entry: Entry, root: Path, *more: str) -> list[str]:
    place = QuotedString(str(root), Quote.single).with_quotes()
    return [*RUNNER, "--json", *entry.words, *more, f"output_root={place}"]


def _result(said: bytes, exit_code: int) -> Result:
    """What it printed; what ended early has said nothing."""
    try:
        return msgspec.json.decode(said, type=Result)
    except msgspec.DecodeError:
        return Result(exit_code=exit_code)
