"""What the commands beside the runner itself have in common: what they say of themselves, and how
they end."""

import argparse
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from runner.config.errors import UserError, nearest

#: What `runner.runs.load` takes.
RUNS = (
    "a sweep's folder or exported zip, runs' folders, ids of MLflow runs, or mlflow:EXPERIMENT; "
    "several sweeps of the same points are repeats of each other"
)
#: What is wrong with a path that was given, and not with this program.
OF_A_PATH = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS}


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments as all other errors are said."""

    def error(self, message: str) -> NoReturn:
        guesses = [self._meant(word) for word in message.split() if word.startswith("-")]
        guess = next(filter(None, guesses), None)
        remedy = f"did you mean: {guess}" if guess else f"{self.prog} --help"
        print(f"error: {message}\n  {remedy}", file=sys.stderr)
        sys.exit(2)

    def _meant(self, word: str) -> str | None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return None if word in known else nearest(word, known)


def parser(name: str, description: str, exit_codes: str) -> Parser:
    """Of ``python -m runner.<name>``."""
    prog, epilog = f"python -m runner.{name}", f"exit code: {exit_codes}"
    return Parser(prog=prog, description=description, epilog=epilog, allow_abbrev=False)


def end_well(work: Callable[[], int | None]) -> None:
    """Do the work of a command and exit: with what it returns (None is 0), with 1 if no more can
    be written, with 2 and one message for wrong input, with 130 after Ctrl-C."""
    _occupy_standard_streams()
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        code = _nobody_reads()  # whoever reads has seen enough
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno in OF_A_PATH and error.filename is not None:
            print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
            sys.exit(2)
        if error.errno != errno.ENOSPC:
            raise
        print(f"error: {error.filename or 'what is shown'}: {error.strerror}", file=sys.stderr)
        code = _nobody_reads() or 1
    if code:
        sys.exit(code)


def _nobody_reads() -> int:
    """What is still in the buffer goes nowhere: else Python says at the exit that it cannot."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _occupy_standard_streams() -> None:
    """A stream that is closed gets /dev/null: else the next file that is opened got its number,
    and with it whatever libraries and processes write there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has none for what was closed when it began.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")
    sys.stderr = sys.stderr or Path(os.devnull).open("w")
