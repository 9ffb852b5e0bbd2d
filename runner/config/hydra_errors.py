"""Errors of Hydra, OmegaConf and their YAML reader, in the words of our own. What they mean is
known by their types and attributes; what they say is shown where these tell nothing."""

from collections.abc import Iterator
from enum import EnumMeta
from typing import get_args, get_type_hints

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import MarkedYAMLError, YAMLError

from runner.config.errors import UserError, did_you_mean
from runner.config.schema import all_keys

MUST_BE = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def from_hydra(error: BaseException) -> UserError | None:
    """The `UserError` behind an error of Hydra, OmegaConf or their YAML reader; None if it is
    something else, that is, a defect of ours."""
    for link in _causes(error):
        if (explained := _explained(link)) is not None:
            return explained
    theirs = any(isinstance(link, HydraException | YAMLError) for link in _causes(error))
    return UserError("", "", str(error).strip()) if theirs else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _explained(error: BaseException) -> UserError | None:
    match error:
        case OverrideParseException():  # as of xsched.threshold=[4
            key, _, value = error.override.partition("=")
            problem = f"cannot be read: {_first_line(error.__context__ or error)}"
            remedy = "write key=value; quote what the shell eats"
            return UserError(key, value, problem, remedy=remedy)
        case MissingConfigException(missing_cfg_file=str(missing)):
            group, _, choice = missing.rpartition("/")
            problem = f"there is no such {group or 'configuration'}"
            return UserError(group or "--config-name", choice, problem, error.options or ())
        case ConfigKeyError() | ConfigAttributeError():
            return _unknown_key(error)
        case ValidationError():
            return _wrong_value(error)
        case OmegaConfBaseException():
            return _as_said(error)
        case MarkedYAMLError(problem=problem, problem_mark=mark):
            place = f"{mark.name}, line {mark.line + 1}" if mark else "a configuration file"
            return UserError("", "", f"{place}: {problem}", remedy="correct the file")
        case UnicodeDecodeError():
            problem = f"a configuration file is not UTF-8: {error}"
            return UserError("", "", problem, remedy="save it as UTF-8")
    return None


def _unknown_key(error: ConfigKeyError | ConfigAttributeError) -> UserError:
    """A key in a file that the schema does not have, or a task that the task set does not have."""
    key = str(error.full_key or error.key)
    beside = [f"{key.rpartition('.')[0]}.{name}".lstrip(".") for name in error.parent_node or ()]
    remedy = did_you_mean(key, [*beside, *all_keys()])
    return UserError("", "", f"{key}: there is no such key", remedy=remedy)


def _wrong_value(error: ValidationError) -> UserError:
    """A value of another type than the key's, which the schema's class says."""
    wanted = get_type_hints(error.object_type).get(str(error.key)) if error.object_type else None
    key, value = str(error.full_key), "null" if error.value is None else error.value
    for kind in (wanted, *get_args(wanted)):
        if isinstance(kind, EnumMeta):
            return UserError(key, value, "there is no such choice", kind.__members__)
        if kind in MUST_BE:
            return UserError(key, value, f"must be {MUST_BE[kind]}")
    return _as_said(error)


def _as_said(error: OmegaConfBaseException) -> UserError:
    where = f"{error.full_key}: " if error.full_key else ""
    return UserError("", "", f"{where}{_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
