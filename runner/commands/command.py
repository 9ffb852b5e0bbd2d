"""What the commands beside the runner itself have in common: what they say of themselves, and how
they end."""

import argparse
import os
import sys
from collections.abc import Callable

#: What `runner.runs.load` takes.
RUNS = (
    "a sweep's folder or exported zip, runs' folders, ids of MLflow runs, or mlflow:EXPERIMENT; "
    "several sweeps of the same points are repeats of each other"
)


def parser(name: str, description: str, exit_codes: str) -> argparse.ArgumentParser:
    """Of ``python -m runner.<name>``."""
    prog, epilog = f"python -m runner.{name}", f"exit code: {exit_codes}"
    return argparse.ArgumentParser(prog=prog, description=description, epilog=epilog)


def end_well(work: Callable[[], int | None]) -> None:
    """Do the work of a command and exit: with what it returns (None is 0), with 2 and one message
    for wrong input, with 130 after Ctrl-C."""
    from runner.config.errors import UserError

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
