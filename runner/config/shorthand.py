"""What people write where the schema takes a number or a group of keys: a length of time with its
unit (``5ms``), a share in percent (``30%``), a task's model or arrivals by their name alone
(``model: bert_mini``), all GPUs. It is written out before Hydra sees it, on the command line and in
files alike; what is no such thing is left to be refused."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from runner.config.schema import unit_of

#: Of a task: what a name alone stands for, by the group that it is given for.
NAMED = {"model": "name", "arrival": "process"}
#: One GPU, or ``all``, is a list of one.
LISTED = ["platform", "devices"]
QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?) ?([^\d\s.].*)")
#: By a key's unit, what else its values may be given in, and by what that is multiplied.
_US = {"us": 1, "µs": 1, "μs": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6}
UNITS: dict[str, dict[str, Decimal]] = {
    "µs": {name: Decimal(us) for name, us in _US.items()},
    "ms": {name: Decimal(us) / 10**3 for name, us in _US.items()},
    "s": {name: Decimal(us) / 10**6 for name, us in _US.items()},
    "share": {"%": Decimal("0.01")},
    "percent": {"%": Decimal(1)},
    "1/s": {"/s": Decimal(1), "rps": Decimal(1)},
}


def written_out(path: Sequence[str], value: Any) -> Any:
    """A value as the schema takes it, with all that is in it. path: the names that lead to it."""
    if isinstance(value, dict):
        return {name: written_out([*path, str(name)], each) for name, each in value.items()}
    if isinstance(value, list):
        return [written_out([*path, str(number)], each) for number, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    if name := name_of(path):
        return {name: value}
    if [*path] == LISTED:
        return [value]
    return _number(value, unit_of(path))


def name_of(path: Sequence[str]) -> str | None:
    """The key that a text stands for in a task's group; None elsewhere."""
    match path:
        case ["task_set", "tasks", _, group]:
            return NAMED.get(group)
    return None


def _number(text: str, unit: str) -> str | int | float:
    """In the key's own unit; the text itself if it is no quantity that can be had in it."""
    found = QUANTITY.fullmatch(text)
    factor = UNITS.get(unit, {}).get(found[2]) if found else None
    if found is None or factor is None:
        return text
    number = Decimal(found[1]) * factor
    return int(number) if number == number.to_integral_value() else float(number)
