"""The file of a campaign: commands of the runner, the most telling first. It is data, as
configurations are, so that whoever runs somebody else's runs no code of theirs."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.commands.export import CONFIG_DIR
from runner.config.errors import UserError
from runner.config.limits import UNREADABLE, check_limits, check_text, problem

MINUTES, COMMON, EXPERIMENTS, RUN, WHY = "minutes", "common", "experiments", "run", "why"
#: Of the runner, what a file may give.
OPTIONS = ("-m", "--multirun", "--strict", *CONFIG_DIR)
#: Keys that are the campaign's to set, and how to say what was meant.
OWN = {
    "output_root": "python -m runner.campaign FILE --output-root FOLDER",
    "dry_run": "python -m runner.campaign FILE --dry",
}
#: Behind which a command goes on: people copy it whole.
BEGINNING = ["python", "-m", "runner"]


@dataclass(frozen=True)
class Entry:
    """An experiment. run: as the file has it. words: all that goes behind ``python -m runner``.
    why: a sentence for the page, "" for none."""

    run: str
    words: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class Campaign:
    """minutes: how long one call may take, None for as long as it does. more: words of the command
    line, which every entry has."""

    path: Path
    minutes: float | None
    entries: tuple[Entry, ...]
    more: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path, more: Sequence[str] = (), minutes: float | None = None) -> Campaign:
    """The campaign of a file. minutes: in place of the file's. Raises `UserError`."""
    content = _content(path)
    _check_keys(str(path), content, (MINUTES, COMMON, EXPERIMENTS))
    if minutes is not None:
        _check_minutes("--minutes", minutes)
    elif (given := content.get(MINUTES)) is not None:
        minutes = _check_minutes(f"{path}: {MINUTES}", given)
    common = _words(path, COMMON, content.get(COMMON))
    for word in more:
        _check_own("", word)
    listed = content.get(EXPERIMENTS)
    if not isinstance(listed, list) or not listed:
        remedy = "write a list of - key=value …, as behind python -m runner"
        raise UserError(f"{path}: {EXPERIMENTS}", listed, "holds no experiment", remedy=remedy)
    entries: list[Entry] = []
    for number, each in enumerate(listed, 1):
        entry = _entry(path, f"entry {number}", each)
        if entry.words in [before.words for before in entries]:
            remedy = "for more runs of each point: sweep.repeats=6"
            raise UserError(f"{path}: entry {number}", entry.run, "is there twice", remedy=remedy)
        entries.append(entry)
    whole = (Entry(each.run, (*common, *each.words, *more), each.why) for each in entries)
    return Campaign(path, minutes, tuple(whole), tuple(more))


def _content(path: Path) -> dict[Any, Any]:
    check_limits(path)
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException, *UNREADABLE) as error:
        said = getattr(error, "problem", None) or error
        raise problem(path, f"cannot be read: {said}") from error
    return dict(content)


def _check_keys(where: str, content: Mapping[Any, Any], known: Sequence[str]) -> None:
    for key, value in content.items():
        if key not in known:
            given = "[…]" if isinstance(value, list) else value
            raise UserError("", key, f"{where}: {key}: {given}: there is no such key", known)


def _check_minutes(where: str, given: Any) -> float:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 < given < math.inf:
        raise UserError(where, given, "is no number of minutes", "a number above 0")
    return float(given)


def _entry(path: Path, which: str, given: Any) -> Entry:
    """An entry with words of its own alone."""
    where = f"{path}: {which}"
    if isinstance(given, str):
        given = {RUN: given}
    if not isinstance(given, dict):
        remedy = f"write - key=value …, or - {RUN}: key=value … with {WHY}: below it"
        raise UserError(where, given, "is no experiment", remedy=remedy)
    _check_keys(where, given, (RUN, WHY))
    words, why = _words(path, f"{which}: {RUN}", given.get(RUN)), given.get(WHY, "")
    if not words:
        remedy = f"write {RUN}: and what stands behind python -m runner"
        raise UserError("", "", f"{where} says nothing to run", remedy=remedy)
    if not isinstance(why, str):
        raise UserError(f"{where}: {WHY}", why, "is no text", "a sentence")
    return Entry(" ".join(given[RUN].split()), words, why.strip())


def _words(path: Path, which: str, given: Any) -> tuple[str, ...]:
    """As a shell would see them, of what is data."""
    where = f"{path}: {which}"
    if not isinstance(given, str | None):
        raise UserError(where, given, "is no text", "what stands behind python -m runner")
    try:
        words = shlex.split(given or "")
    except ValueError as error:
        raise UserError(where, given, f"{error}", remedy="close it with another one") from error
    if words[: len(BEGINNING)] == BEGINNING:
        remedy = f"write {shlex.join(words[len(BEGINNING) :])}"
        raise UserError(where, given, "python -m runner is meant anyway", remedy=remedy)
    rest = iter(words)
    for word in rest:
        check_text(path, word)  # a shell's quotes may have hidden it
        if word.startswith("-"):
            option, _, value = word.partition("=")
            if option not in OPTIONS:
                raise UserError(where, option, "is no option of a campaign", OPTIONS)
            if option in CONFIG_DIR and not value:
                next(rest, None)
        else:
            _check_word(where, word)
    return tuple(words)


def _check_word(where: str, word: str) -> None:
    """What a person may type and a file may not say."""
    _check_own(where, word)
    key = word.partition("=")[0]
    if "hydra" in key or key.lstrip("+~") == "xsched.home":
        remedy = f"if you trust it: python -m runner.campaign FILE {shlex.quote(word)}"
        raise UserError(where, word, "a campaign is data, and this can run code", "", remedy)


def _check_own(where: str, word: str) -> None:
    key = word.partition("=")[0].lstrip("+~")
    if key in OWN:
        raise UserError(where, word, "is the campaign's to set", "", OWN[key])
