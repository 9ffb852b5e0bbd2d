"""Errors of Hydra, OmegaConf and their YAML reader, in the words of our own."""

import re
import sys
from collections.abc import Iterable

from runner.config.errors import UserError, nearest
from runner.config.schema import all_keys


def from_hydra(error: BaseException) -> UserError | None:
    """The `UserError` behind an error of Hydra, OmegaConf or their YAML reader; None if it is
    something else, that is, a defect of ours."""
    from antlr4.error.Errors import RecognitionException
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    known = (
        HydraException,
        OmegaConfBaseException,
        YAMLError,
        UnicodeDecodeError,
        RecognitionException,
    )
    chain = list(_causes(error))
    if not any(isinstance(link, known) for link in chain):
        return None
    text = "\n".join(str(link) for link in chain)
    for explain in (_grammar, _option, _unknown_key, _bad_value, _yaml):
        if (explained := explain(chain, text)) is not None:
            return explained
    return UserError("", "", str(error).strip())


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _grammar(chain: list[BaseException], text: str) -> UserError | None:
    """``xsched.threshold=[4``: not in Hydra's grammar of overrides."""
    from hydra.errors import OverrideParseException

    for link in chain:
        if isinstance(link, OverrideParseException):
            key, _, value = link.override.partition("=")
            problem = f"cannot be read: {str(link.message).splitlines()[0]}"
            return UserError(
                key, value, problem, remedy="write key=value; quote what the shell eats"
            )
    return None


def _option(chain: list[BaseException], text: str) -> UserError | None:
    """``task_set=six_brt``: no such file in the group."""
    if not (
        match := re.search(r"(?:Could not find|In .*?: Could not find) '([^']+)/([^'/]+)'", text)
    ):
        return None
    group, value = match.groups()
    options = re.search(r"Available options in '[^']*':\n((?:\t.*\n?)*)", text)
    choices = [line.strip() for line in options.group(1).splitlines()] if options else []
    return UserError(group, value, f"there is no such {group}", choices)


def _unknown_key(chain: list[BaseException], text: str) -> UserError | None:
    match = re.search(r"Key '([^']+)' (?:not in|is not in struct)", text)
    if match is None:
        match = re.search(r"Could not override '([^']+)'", text)
    if match is None:
        return None
    full = re.search(r"full_key: (\S+)", text)
    key = full.group(1) if full else match.group(1)
    value = re.search(rf"\+*{re.escape(key)}=(\S*)", f"{text} {' '.join(sys.argv)}")
    guess = nearest(key, all_keys())
    return UserError(
        key,
        value.group(1).rstrip(".") if value else "…",
        "there is no such key",
        remedy=(f"did you mean: {guess}" if guess else "see docs/reference.md for every key"),
    )


def _bad_value(chain: list[BaseException], text: str) -> UserError | None:
    from omegaconf.errors import ValidationError

    for link in chain:
        if isinstance(link, ValidationError):
            key = getattr(link, "full_key", None) or ""
            problem = str(getattr(link, "msg", None) or link).splitlines()[0]
            value = re.search(r"[Vv]alue '([^']*)'", problem)
            options = re.search(r"expected one of \[([^\]]+)\]", problem)
            if value and (wanted := re.search(r"could not be converted to (\w+)", problem)):
                problem = f"must be {_article(wanted.group(1).lower())}"
            return UserError(
                key,
                value.group(1) if value else "…",
                "there is no such choice" if options else problem,
                options.group(1).split(", ") if options else (),
            )
    return None


def _article(type_name: str) -> str:
    return {"integer": "a whole number", "float": "a number", "boolean": "true or false"}.get(
        type_name, f"a {type_name}"
    )


def _yaml(chain: list[BaseException], text: str) -> UserError | None:
    from yaml import MarkedYAMLError

    for link in chain:
        if isinstance(link, MarkedYAMLError):
            where = link.problem_mark
            place = f"{where.name}, line {where.line + 1}" if where else "a configuration file"
            return UserError("", "", f"{place}: {link.problem}", remedy="correct the file")
        if isinstance(link, UnicodeDecodeError):
            return UserError(
                "", "", f"a configuration file is not UTF-8: {link}", remedy="save it as UTF-8"
            )
    return None
