"""Errors of Hydra, OmegaConf and their YAML reader, in the words of our own. What they mean is
known by their types and attributes; what they say is shown where these tell nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import EnumMeta
from pathlib import Path
from typing import get_args, get_type_hints

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import MarkedYAMLError, YAMLError

from runner.config.errors import SEE, UserError, did_you_mean, nearest
from runner.config.limits import LAUNCHER
from runner.config.schema import TaskConfig, keys_and_groups, keys_in, unit_of
from runner.config.shorthand import UNITS

NO_TASK = "there is no such task"
FURTHER_TASK = "a further one belongs into a task set of your own: python -m runner.new NAME"
MUST_BE = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
#: By its name the package that brings a launcher.
LAUNCHERS = {
    "joblib": "hydra-joblib-launcher",
    "ray": "hydra-ray-launcher",
    "rq": "hydra-rq-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}


@dataclass
class Said:
    """What files have said, for Hydra's errors do not tell which file. choices: the file by
    ``group/choice``. values: the file by dotted key and value, for several may set one key."""

    choices: dict[str, Path] = field(default_factory=dict)
    values: dict[tuple[str, str], Path] = field(default_factory=dict)

    def choice(self, group: str, choice: str) -> str:
        """The group, after the file that chose this."""
        path = self.choices.get(f"{group}/{choice}")
        return f"{path}: {group}" if path else group

    def value(self, key: str, value: object) -> str:
        """The key, after the file that gave it this value. Of what is in a list Hydra tells the
        last name alone."""
        for (known, given), path in self.values.items():
            if f".{known}".endswith(f".{key}") and given == str(value):
                return f"{path}: {known}"
        return key


def from_hydra(error: BaseException, said: Said) -> UserError | None:
    """The `UserError` behind an error of Hydra, OmegaConf or their YAML reader; None if it is
    something else, that is, a defect of ours."""
    for link in _causes(error):
        if (explained := _explained(link, said)) is not None:
            return explained
    theirs = any(isinstance(link, HydraException | YAMLError) for link in _causes(error))
    return UserError("", "", str(error).strip(), remedy=SEE) if theirs else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explained(error: BaseException, said: Said) -> UserError | None:
    match error:
        case OverrideParseException():  # as of xsched.threshold=[4
            key, _, value = error.override.partition("=")
            problem = f"cannot be read: {_first_line(error.__context__ or error)}"
            remedy = f"quote what is no plain word, for Hydra and the shell: \"{key}='{value}'\""
            if ",," in value or value.endswith(","):
                remedy = "take out the comma that has no value beside it"
            elif "(" in value:
                remedy = "write a list (4,8,16), choice(4,8,16) or range(start,stop,step)"
            return UserError(key, value, problem, remedy=remedy)
        case MissingConfigException(missing_cfg_file=str(missing)):
            group, _, choice = missing.rpartition("/")
            if group == LAUNCHER:
                return _no_launcher(said.choice(group, choice), choice, error.options or ())
            problem = f"there is no such {group or 'configuration'}"
            remedy = "one of your own needs --config-dir FOLDER" if group else "leave it out"
            where = said.choice(group, choice) or "--config-name"
            return UserError(where, choice, problem, error.options or (), remedy)
        case ConfigKeyError() | ConfigAttributeError():
            return _unknown_key(error)
        case ValidationError():
            return _wrong_value(error, said)
        case OmegaConfBaseException():
            return _as_said(error)
        case MarkedYAMLError(problem=problem, problem_mark=mark):
            place = f"{mark.name}, line {mark.line + 1}" if mark else "a configuration file"
            return UserError("", "", f"{place}: {problem}", remedy="correct the file")
        case UnicodeDecodeError():
            problem = f"a configuration file is not UTF-8: {error}"
            return UserError("", "", problem, remedy="save it as UTF-8")
    return None


def _no_launcher(where: str, choice: str, there: Sequence[str]) -> UserError:
    """Launchers are plug-ins of Hydra, which are found by being installed."""
    if choice in LAUNCHERS:
        return not_installed(where, choice, LAUNCHERS[choice])
    here = f"here: {', '.join(there)}"
    guess = nearest(choice, [*there, *LAUNCHERS])
    remedy = f"{here}; did you mean: {guess}" if guess else here
    return UserError(where, choice, "there is no such launcher", remedy=remedy)


def not_installed(where: str, launcher: str, package: str) -> UserError:
    """A launcher whose package is not there."""
    problem, remedy = "this launcher is not installed", f"pip install {package} brings it"
    return UserError(where, launcher, problem, remedy=remedy)


def _unknown_key(error: ConfigKeyError | ConfigAttributeError) -> UserError:
    """A key in a file that the schema does not have, or a task that the task set does not have."""
    key = str(error.full_key or error.key)
    group, _, name = key.rpartition(".")
    beside = [str(each) for each in error.parent_node or ()]
    if group == "task_set.tasks":
        return UserError(group, name, NO_TASK, beside, FURTHER_TASK)
    keys = [*(f"{group}.{each}".lstrip(".") for each in beside), *keys_and_groups()]
    return UserError("", "", f"{key}: there is no such key", remedy=did_you_mean(key, keys))


def _wrong_value(error: ValidationError, said: Said) -> UserError:
    """A value of another type than the key's, which the schema's class says."""
    schema = error.object_type
    wanted = get_type_hints(schema).get(str(error.key)) if schema else None
    key = str(error.full_key).replace("[", ".").replace("]", "")
    value = "null" if error.value is None else error.value
    if TaskConfig.__name__ in str(error) and "." not in key:  # given with a +
        return UserError("task_set.tasks", key, NO_TASK, remedy=FURTHER_TASK)
    if names := keys_in(key.split(".")):
        return no_group(key, value, names)
    where = said.value(key, value)
    for kind in (wanted, *get_args(wanted)):
        if isinstance(kind, EnumMeta):
            return UserError(where, value, "there is no such choice", kind.__members__)
        if kind in MUST_BE:
            remedy = _units(key) if kind in (int, float) else ""
            return UserError(where, value, f"must be {MUST_BE[kind]}", remedy=remedy)
    return _as_said(error)


def _units(key: str) -> str:
    """What a key's numbers are in, and what else it takes."""
    unit = unit_of(key.split("."))
    others = ", ".join(name for name in UNITS.get(unit, ()) if name != unit and name.isascii())
    alone = f"write a number ({unit})" if unit else "write a number alone"
    return f"{alone}, or one with {others}" if others else alone


#: Groups whose values somebody may have wanted a file of conf/ for.
CHOSEN = ("task_set", "model", "arm", "xsched", "platform", "arrival", "tracking")
#: What is written below a key that has others below it, but no names of its own.
LISTED = {"<name>": "{NAME: {priority: 1}}", "<number>": "[{what: a claim, at_most: 1}]"}


def no_group(key: str, value: object, names: list[str]) -> UserError:
    """A group of keys that was given a value. names: those that are in it."""
    if key in CHOSEN and isinstance(value, str):
        remedy = f"a file chooses by its defaults list: - override /{key}: {value}"
    else:
        example = LISTED.get(names[0], f"{{{names[0]}: …}}")
        remedy = f"write what is in it: {key.rpartition('.')[2]}: {example}"
    allowed = [] if names[0] in LISTED else names
    return UserError(key, value, "this is a group of keys, and no value", allowed, remedy)


def _as_said(error: OmegaConfBaseException) -> UserError:
    where = f"{error.full_key}: " if error.full_key else ""
    return UserError("", "", f"{where}{_first_line(error)}", remedy=SEE)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
