"""What the commands beside the runner itself have in common: what they say of themselves, and how
they end."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from runner.config.errors import UserError, nearest

#: What `runner.runs.load` takes.
RUNS = (
    "a sweep's folder or exported zip, runs' folders, ids of MLflow runs, or mlflow:EXPERIMENT; "
    "several sweeps of the same points are repeats of each other"
)


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
    """Do the work of a command and exit: with what it returns (None is 0), with 2 and one message
    for wrong input, with 130 after Ctrl-C."""
    try:
        code = work()
    except BrokenPipeError:
        code = 0  # whoever reads has seen enough
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # else Python says so at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code:
        sys.exit(code)
