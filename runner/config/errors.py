"""Errors that a person can act on.

A `UserError` is one message that names the key, the value, what is allowed and the nearest
spelling; the command ends with exit code 2 and without a traceback.
"""

import difflib
from collections.abc import Iterable

SEE = "see docs/reference.md for every key"
#: Of a guess: it shares so much with what was given, and there are no more of them.
ALIKE, MOST_GUESSES = 0.6, 4
#: In a key that every task has.
NAME = "<name>"


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
        listed = [allowed] if isinstance(allowed, str) else map(str, allowed)
        choices = [each for each in listed if each]
        lines = [f"{key}={value}: {problem}" if key else problem]
        if choices:
            lines.append(f"  allowed: {', '.join(choices)}")
        if not isinstance(allowed, str) and (guess := nearest(value, choices)):
            lines.append(f"  did you mean: {guess}")
        if remedy:
            lines.append(f"  {remedy}")
        super().__init__("\n".join(lines))


def nearest(value: object, choices: Iterable[str]) -> str | None:
    """The choice that `value` was probably meant to be."""
    matches = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0.45)
    return matches[0] if matches else None


def did_you_mean(key: str, keys: Iterable[str]) -> str:
    """What to tell somebody who gave a dotted key that there is not. Who left its group out, or
    took another one, has the last name right: that counts as much as the whole."""
    known = list(dict.fromkeys(keys))
    scores = {each: _likeness(key, each) for each in known}
    best = max(scores.values(), default=0.0)
    alike = [each for each, score in scores.items() if score == best >= ALIKE]
    task = _task_in(key, known)
    fitting = [each for each in alike if (NAME in each) == (task is not None)] or alike
    nearest_first = sorted(fitting, key=lambda each: -_ratio(key, each))
    guesses = [each.replace(NAME, task or NAME) for each in nearest_first[:MOST_GUESSES]]
    return f"did you mean: {' or '.join(guesses)}" if guesses else SEE


def _task_in(key: str, known: Iterable[str]) -> str | None:
    """The task that a dotted key names, with or without what stands before its name."""
    first, *inner = key.removeprefix("task_set.").removeprefix("tasks.").split(".")
    groups = {each.partition(".")[0] for each in known}
    misspelt = not key.startswith("task_set.") and difflib.get_close_matches(first, groups, 1, 0.7)
    return None if not inner or misspelt else first


def _likeness(key: str, known: str) -> float:
    """0 to 1, of the whole or of the last name."""
    last, its_last = key.rpartition(".")[2], known.rpartition(".")[2]
    return max(_ratio(key, known), _ratio(last, its_last))


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
