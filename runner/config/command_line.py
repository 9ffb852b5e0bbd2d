"""What is wrong with a command line and can be seen before Hydra composes anything.

Hydra would find most of it, too; but only what was typed says which value a misspelt key was given,
and a group that is given a number ends Hydra without a word.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from runner.config.errors import UserError, did_you_mean
from runner.config.schema import all_keys, is_key

#: To every command: each is a sweep through our own sweeper, and the terminal is ours.
ADDED = (
    "hydra.mode=MULTIRUN",
    "hydra/sweeper=trials",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
)
#: Of a sweep, and values of one argument.
MOST_POINTS = 10_000


def parsed(arguments: Sequence[str]) -> list[Override]:
    """Arguments in Hydra's grammar, in which a few letters may stand for a billion values."""
    parser = OverridesParser.create()
    unlimited = parser.functions.functions["range"]

    def limited(*bounds: Any) -> Any:
        made = unlimited(*bounds)
        if made.step and (made.stop - made.start) / made.step > MOST_POINTS:
            raise ValueError(f"it has more than {MOST_POINTS:,} values")
        return made

    parser.functions.functions["range"] = limited
    found = []
    for each in arguments:
        try:
            found += parser.parse_overrides([each])
        except RecursionError as error:
            key, _, value = each.partition("=")
            raise UserError(key, f"{value[:20]}…", "is nested too deeply") from error
    return found


def check(overrides: list[str], conf: Path) -> None:
    """Refuse arguments that are not in Hydra's grammar (its own error), that name a key that there
    is not, or that give a group of `conf` what cannot be the name of a choice."""
    for override in parsed(overrides):
        key = override.key_or_group
        if override.is_hydra_override() or override.is_delete() or "/" in key:
            continue  # Hydra's own, or a folder within a group
        if key and (conf / key).is_dir():
            _check_choice(override, sorted(path.stem for path in (conf / key).glob("*.yaml")))
        elif not is_key(key) and not (override.is_add() and "." not in key):
            # With + and without a dot it may be a group in a folder of the user's own.
            given, remedy = override.get_value_string(), did_you_mean(key, all_keys())
            raise UserError(key, given, "there is no such key", remedy=remedy)


def _check_choice(override: Override, choices: list[str]) -> None:
    """Texts are Hydra's to look up, for it knows the folders of the user's own, too."""
    if not override.is_sweep_override() and not isinstance(override.value(), str | list | dict):
        group, given = override.key_or_group, override.get_value_string()
        raise UserError(group, given, f"there is no such {group}", choices)
