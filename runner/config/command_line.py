"""What is wrong with a command line and can be seen before Hydra composes anything.

Hydra would find most of it, too; but only what was typed says which value a misspelt key was given,
and a group that is given a number ends Hydra without a word.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    QuotedString,
    Transformer,
    ValueType,
)

from runner.config import shorthand
from runner.config.errors import SEE, UserError, did_you_mean
from runner.config.schema import SET_BY_THE_SWEEP, is_key, keys_and_groups

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
#: Whoever forgets ``runner.`` and a dot gives the name of another command as an argument.
COMMANDS = Path(__file__).parents[1] / "commands"
OWN_FOLDER = "a file of your own is GROUP/NAME.yaml in a folder that you name: --config-dir FOLDER"
OPTIONS = "python -m runner --help lists the options"
#: The options that a misspelt one may have been.
SPELLED_OUT = (
    *("--config-dir", "--config-name", "--config-path", "--cfg", "--help", "--version"),
    *("--quiet", "--verbose", "--json", "--strict"),
)
#: Options of Hydra that mean nothing here, and what does.
WITHOUT_US = {
    "--shell-completion": "python -m runner.list names what there is",
    "--experimental-rerun": "python -m runner.replay RUN",
}
#: Places that Hydra would write to; everything here goes below output_root.
PLACES = ("hydra.run", "hydra.sweep")


# --- arguments -----------------------------------------------------------------------------------


def parsed(arguments: Sequence[str]) -> list[Override]:
    """Arguments in Hydra's grammar, in which a few letters may stand for a billion values, with
    what is shorthand written out. Raises `UserError` for a value that is there twice."""
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
            (override,) = parser.parse_overrides([each])
        except RecursionError as error:
            key, _, value = each.partition("=")
            raise UserError(key, f"{value[:20]}…", "is nested too deeply") from error
        plain = _written_out(override)
        found += [override] if plain == each else parser.parse_overrides([plain])
    return found


def _written_out(override: Override) -> str:
    """The argument with what is shorthand in it written out."""
    values = _values(override)
    _check_once(override, values)
    if any(each == {} for each in values):
        raise UserError(
            *_given(override), "sets nothing", remedy="write what is in it: {key: value}"
        )
    key, path = override.get_key_element(), override.key_or_group.split(".")
    name = shorthand.name_of(path) if all(isinstance(each, str) for each in values) else None
    if name:
        key, path = f"{key}.{name}", [*path, name]
    plain = [shorthand.written_out(path, each) for each in values]
    if not name and plain == values:
        return override.input_line or ""
    written, value = ",".join(map(Transformer.str, plain)), override.value()
    if "sort(" in (override.input_line or ""):
        problem = "values with a unit would be sorted as texts"
        raise UserError(*_given(override), problem, remedy="write them in their order")
    shuffled = isinstance(value, ChoiceSweep) and value.shuffle
    return f"{key}=shuffle({written})" if shuffled else f"{key}={written}"


def _values(override: Override) -> list[Any]:
    """What is swept over by listing it, else the only value."""
    value = override.value()
    listed = value.list if isinstance(value, ChoiceSweep) else [value]
    return [each.text if isinstance(each, QuotedString) else each for each in listed]


def _check_once(override: Override, values: list[Any]) -> None:
    for number, each in enumerate(values):
        if each in values[:number]:
            problem = f"{Transformer.str(each)} is there twice"
            remedy = "for several runs of each point: sweep.repeats=3"
            raise UserError(*_given(override), problem, remedy=remedy)


def _given(override: Override) -> tuple[str, str]:
    """Key and value as they were typed; of ``~key`` there is no value."""
    valued = override.value_type is not None
    return override.key_or_group, override.get_value_string() if valued else ""


def read(arguments: Sequence[str], conf: Path, own: Path | None = None) -> list[str]:
    """The arguments as Hydra gets to see them. Refuses what is not in its grammar (its own error),
    names a key that there is not, or one twice, or gives a group of `conf` what cannot be the name
    of a choice (`UserError`). own: the folder of the user's own configurations, if there is one."""
    for each in arguments:
        _check_form(each, conf)
    overrides = parsed(arguments)
    for override in overrides:
        key = override.key_or_group
        if not (override.is_add() and own and (own / key).is_dir()):
            _check(override, conf)
    _check_no_two(overrides)
    return [override.input_line or "" for override in overrides]


def _check_no_two(overrides: Sequence[Override]) -> None:
    """Hydra would take the last one. A group may have a choice and, as {…}, values beside it."""
    known: dict[tuple[str, bool], str] = {}
    for override in overrides:
        key, given = _given(override)
        which = key, any(isinstance(each, dict) for each in _values(override))
        if which in known:
            both = ",".join(dict.fromkeys(f"{known[which]},{given}".split(",")))
            remedy = f"leave one out, or sweep over both: {key}={both}"
            raise UserError(key, given, f"is given twice, before as {known[which]}", remedy=remedy)
        known[which] = given


def _check_form(argument: str, conf: Path) -> None:
    """Whoever leaves out the = may mean a choice, or another command."""
    if argument.endswith(","):
        remedy = "values stand one after the other without blanks: arm=native,xsched"
        raise UserError("", "", f"{argument} ends with a comma", remedy=remedy)
    if "=" in argument or argument.startswith("~"):
        return
    key, _, value = argument.partition(":")
    name = argument.removesuffix(".yaml").rpartition("/")[2]
    choices = sorted(conf.glob(f"*/{name}.yaml")) if name.isidentifier() else []
    commands = f"{argument}.py", f"{argument}/__main__.py"
    remedy = "write key=value, without blanks, like task_set=smoke"
    if value and is_key(key):
        remedy = f"did you mean: {key}={value}"
    elif any((COMMANDS / each).is_file() for each in commands):
        remedy = f"did you mean: python -m runner.{argument}"
    elif choices:
        remedy = f"did you mean: {choices[0].parent.name}={name}"
    raise UserError("", "", f"{argument}: is no key=value", remedy=remedy)


def _check(override: Override, conf: Path) -> None:
    key, given = _given(override)
    if key.startswith(tuple(f"{place}." for place in PLACES)):
        problem, remedy = "has no effect here", "output_root=FOLDER says where results go"
        raise UserError(key, given, problem, remedy=remedy)
    if override.is_hydra_override() or "/" in key:
        return  # Hydra's own, or a folder within a group
    if key and (conf / key).is_dir():
        _check_choice(override, sorted(path.stem for path in (conf / key).glob("*.yaml")))
    elif key == SET_BY_THE_SWEEP:
        remedy = f"did you mean: sweep.repeats={given}"
        raise UserError(key, given, "the sweep itself numbers its repeats", remedy=remedy)
    elif key.startswith("expect."):
        problem = "claims are given all at once"
        remedy = "expect=[{what: it is fast, metric: p99_ms/urgent, at_most: 5}]"
        raise UserError(key, given, problem, remedy=remedy)
    elif not is_key(key):
        remedy = did_you_mean(key, keys_and_groups())
        raise UserError(key, given, "there is no such key", remedy=remedy)
    elif override.is_delete() and not key.startswith("task_set.tasks."):
        remedy = f"give it a value: {key}=…"
        raise UserError(f"~{key}", given, "only a task can be taken away", remedy=remedy)


def _check_choice(override: Override, choices: list[str]) -> None:
    """Texts are Hydra's to look up, for it knows the folders of the user's own, too."""
    group, given = _given(override)
    values = _values(override)
    for value in values:
        if isinstance(value, list):
            remedy = f"to run one after the other: -m {group}={','.join(map(str, value))}"
            raise UserError(group, given, "a list is no choice", remedy=remedy)
        if isinstance(value, str) and (value.endswith(".yaml") or ".." in value):
            name = Path(value).stem
            remedy = f"did you mean: {group}={name}" if name in choices else OWN_FOLDER
            raise UserError(group, given, "a choice is a name, not a path", (), remedy)
        plain = override.value_type is ValueType.ELEMENT
        if plain and not isinstance(value, str | dict):
            raise UserError(group, given, f"there is no such {group}", choices)
    if override.is_add() and not any(isinstance(value, dict) for value in values):
        remedy = f"without the +: {group}={given}"
        raise UserError(f"+{group}", given, "the group is there already", remedy=remedy)


# --- options -------------------------------------------------------------------------------------


def own_folder(options: Sequence[str], conf: Path) -> Path | None:
    """The folder of the user's own configurations, if they name one. Raises `UserError` for options
    that Hydra does not have, and for a folder that holds nothing."""
    parser = get_args_parser()

    def refuse(message: str) -> None:
        raise UserError("", "", message, remedy=OPTIONS)

    parser.error = refuse  # type: ignore[assignment]  # else it exits, with a page of usage
    known, unknown = parser.parse_known_args([*options])
    if unknown:
        key = did_you_mean(unknown[0].lstrip("-").replace("-", "_"), keys_and_groups())
        options_like = get_close_matches(unknown[0], SPELLED_OUT, 1, 0.75)
        remedy = OPTIONS if key == SEE else f"a key stands without dashes; {key}"
        remedy = f"did you mean: {options_like[0]}" if options_like else remedy
        raise UserError("", "", f"{unknown[0]}: there is no such option", remedy=remedy)
    for option, remedy in WITHOUT_US.items():
        if getattr(known, option.lstrip("-").replace("-", "_")):
            raise UserError("", "", f"{option} is not taken", remedy=remedy)
    if known.resolve and known.cfg is None:
        raise UserError("", "", "--resolve goes with --cfg", remedy="--cfg job --resolve")
    if known.config_path is not None and not Path(known.config_path).is_dir():
        remedy = "it takes the absolute path of a whole conf/; --config-dir adds files of your own"
        raise UserError("--config-path", known.config_path, "is no folder", remedy=remedy)
    if known.config_dir is None:
        return None
    folder = Path(known.config_dir)
    check_folder(folder, conf)
    return folder


def check_folder(folder: Path, conf: Path) -> None:
    """Refuse a folder of the user's own that is none, or in which no group has a folder."""
    if not folder.is_dir():
        problem = "is a file, and no folder" if folder.is_file() else "is not there"
        remedy = (
            f"python -m runner.new NAME --dir {folder} makes one" if not folder.exists() else ""
        )
        raise UserError("--config-dir", folder, problem, remedy=remedy or OWN_FOLDER)
    groups = sorted(path.name for path in conf.iterdir() if any(path.glob("*.yaml")))
    if not any((folder / group).is_dir() for group in (*groups, "hydra")) and not any(
        folder.glob("*/*.yaml")  # of a group of the user's own
    ):
        allowed = ", ".join(f"{group}/" for group in groups)
        above = folder.absolute().name in groups
        remedy = f"did you mean: --config-dir {folder.parent}" if above else OWN_FOLDER
        raise UserError("--config-dir", folder, "has no folder of a group in it", allowed, remedy)
