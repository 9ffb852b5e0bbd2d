"""What the commands beside the runner itself have in common: how they end."""

import sys
from collections.abc import Callable


def end_well(work: Callable[[], int | None]) -> None:
    """Do the work of a command and exit: with what it returns (None is 0), with 2 and one message
    for wrong input, with 130 after Ctrl-C."""
    from runner.config.errors import UserError

    try:
        code = work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    if code:
        sys.exit(code)
