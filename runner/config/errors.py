"""Errors that a person can act on.

A `UserError` is one message that names the key, the value, what is allowed and the nearest
spelling; the command ends with exit code 2 and without a traceback.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something in the configuration or the environment that the user can put right."""

    def __init__(
        self,
        key: str,
        value: object,
        problem: str,
        allowed: Iterable[object] | str = (),
        remedy: str = "",
    ) -> None:
        choices = [allowed] if isinstance(allowed, str) else [str(choice) for choice in allowed]
        lines = [f"{key}={value}: {problem}" if key else problem]
        if choices:
            lines.append(f"  allowed: {', '.join(choices)}")
        if guess := nearest(value, choices):
            lines.append(f"  did you mean: {guess}")
        if remedy:
            lines.append(f"  {remedy}")
        super().__init__("\n".join(lines))


def nearest(value: object, choices: Iterable[str]) -> str | None:
    """The choice that `value` was probably meant to be."""
    matches = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0.45)
    return matches[0] if matches else None


def did_you_mean(key: str, keys: Iterable[str]) -> str:
    """What to tell somebody who gave a key that there is not."""
    guess = nearest(key, keys)
    return f"did you mean: {guess}" if guess else "see docs/reference.md for every key"
