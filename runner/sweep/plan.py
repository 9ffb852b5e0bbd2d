"""The points of a sweep: expanded, checked all together, named, repeated, put in order."""

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override, Transformer, ValueType
from hydra.errors import HydraException
from omegaconf import DictConfig

from runner.config.command_line import MOST_POINTS, parsed
from runner.config.errors import UserError
from runner.config.resolve import as_config, resolve
from runner.config.schema import Config
from runner.config.spec import TrialSpec
from runner.platforms.choose import choose, choose_placement, settle, shared

SHORT = {"xsched.threshold": "t", "xsched.batch_size": "b", "xsched.timeslice_us": "slice"}
#: Swept keys whose value alone makes a readable name.
BARE = ("task_set", "model", "arm", "platform", "arrival", "xsched", "xsched.policy")

#: What a sweep has one of: of several values the first would stand for all.
ONE_OF_A_SWEEP = ("experiment", "sweep", "expect", "tracking", "output_root", "dry_run", "repeat")
#: MLflow shows 15 characters; a file system takes 255 bytes.
LONGEST_NAME = 100

Compose = Callable[[list[str]], DictConfig]


class Planned:
    """One combination of swept values: its overrides, the trial they give, and where it goes.

    values: by swept key; None where the trial is the same for all values of the key, and is run
    once for all of them."""

    def __init__(self, overrides: list[str], values: dict[str, str | None]) -> None:
        self.overrides, self.values = overrides, values
        self.repeat = 0
        self.config = Config()
        self.trial: TrialSpec
        self.name = ""

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.trial.config_hash[:8]}"

    def setting(self, key: str) -> str | None:
        """What the run will have for a dotted key, see `runner.runs.run.Run.setting`."""
        if key == "arm":
            return self.trial.arm
        if key in self.values:
            return self.values[key]
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
        return str(getattr(value, "name", value))  # a group's or a level's


def plan(arguments: list[str], compose: Compose) -> list[Planned]:
    """Every trial of a sweep in the order of running. Raises `UserError` if any point is wrong."""
    points = merge(check(expand(arguments), compose))
    config, sweep = points[0].config, points[0].config.sweep
    if config.expect:
        from runner.results.expectations import check_claims

        check_claims(config, points)
    repeated = repeat(points)
    name(repeated)
    balanced = sweep.order == "balanced" or (sweep.order == "auto" and sweep.repeats > 1)
    return balance(repeated, config.seed) if balanced else repeated


def expand(arguments: list[str]) -> list[Planned]:
    """Every combination of the swept values, the last key varying fastest."""
    points = [Planned([], {})]
    for override in parsed(arguments):
        choices = _choices(override)
        if len(points) * len(choices) > MOST_POINTS:
            key, given = override.key_or_group, override.get_value_string()
            raise UserError(key, given, f"makes a sweep of more than {MOST_POINTS:,} points")
        points = [
            Planned(
                [*each.overrides, choice],
                each.values | ({override.key_or_group: value} if len(choices) > 1 else {}),
            )
            for each in points
            for choice, value in choices
        ]
    return points


def _choices(override: Override) -> list[tuple[str, str]]:
    """(override, value) of every value that this argument sweeps over, or of its only one."""
    if not override.is_sweep_override():
        return [(override.input_line or "", "")]
    key, given = override.key_or_group, override.get_value_string()
    if override.value_type in (ValueType.INTERVAL_SWEEP, ValueType.GLOB_CHOICE_SWEEP):
        problem = "not values that could be swept over"
        raise UserError(key, given, problem, "a list (4,8,16), choice(), range()")
    try:
        values = list(override.sweep_string_iterator())
    except (ValueError, HydraException) as error:
        raise UserError(key, given, str(error), remedy="range(start,stop,step)") from error
    if not values:
        remedy = "range(start,stop,step) ends before stop"
        raise UserError(key, given, "there is no value in it", remedy=remedy)
    root = key.partition(".")[0]
    if len(values) > 1 and root in ONE_OF_A_SWEEP:
        raise UserError(
            key,
            given,
            "an experiment brings its own sweep, repeats and expectations"
            if root == "experiment"
            else f"a sweep has one {key}",
            remedy=f"run one after another: {key}={values[0]}, then {key}={values[1]}",
        )
    return [(f"{override.get_key_element()}={value}", value) for value in values]


def argument(key: str, value: object) -> str:
    """What is swept over by hydra.sweeper.params, as an argument: a text as one would type it, or a
    list of values."""
    where = f"hydra.sweeper.params.{key}"
    if isinstance(value, str):
        return f"{key}={value}"
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(each, list | dict) for each in values):
        raise UserError(where, value, "not values to sweep over", "[solo, xsched], 'solo,xsched'")
    return f"{key}={','.join(map(Transformer.str, values))}"


def check(points: list[Planned], compose: Compose) -> list[Planned]:
    """Compose and validate all points and decide `auto` for all of them."""
    named = choose()
    for number, each in enumerate(points, start=1):
        try:
            each.config = as_config(compose(each.overrides))
            if each.config.platform.name == "auto":
                each.config.platform.name = named
            each.trial = resolve(each.config)
            _check_home(each)
            _check_figures(each.config)
        except UserError as error:
            if len(points) == 1:
                raise
            raise UserError(
                "", "", f"{error}\n  in point {number} of {len(points)}: {each.values}"
            ) from error
    _check_one_sweep(points)
    left_open = [each for each in points if each.trial.placement == "auto"]
    if left_open:
        platform = shared(left_open[0].config)
        chosen = choose_placement([each.trial for each in left_open], platform)
        for each, placement in zip(left_open, chosen, strict=True):
            each.config.platform.placement = placement
            each.trial = replace(each.trial, placement=placement)
    for each in points:
        each.trial = settle(each.config, each.trial, shared(each.config))
    return points


def _check_home(point: Planned) -> None:
    """A library is code, and files are data."""
    home = point.config.xsched.home
    given = any(each.lstrip("+").startswith("xsched.home=") for each in point.overrides)
    if home is not None and not given:
        remedy = f"if you trust it: xsched.home={home} on the command line, or XSCHED_HOME"
        raise UserError(
            "xsched.home", home, "a file may not choose what code is loaded", "", remedy
        )


def _check_one_sweep(points: list[Planned]) -> None:
    """What the points' own files say of the sweep is taken from the first."""
    first = points[0].config
    for each in points:
        for key in ("sweep", "expect"):
            if getattr(each.config, key) != getattr(first, key):
                problem = "is another than that of the first point, and a sweep has one"
                raise UserError("", "", f"{key} of {each.values} {problem}")


def _check_figures(config: Config) -> None:
    if config.expect or config.sweep.primary is not None:
        from runner.results.expectations import check_figures  # numpy, which others do without

        check_figures(config)


def merge(points: list[Planned]) -> list[Planned]:
    """Points whose trials are the same measurement become one, which serves all their values: an
    arm without XSched does not depend on a threshold."""
    kept: dict[str, Planned] = {}
    for each in points:
        first = kept.setdefault(each.trial.config_hash, each)
        for key, value in each.values.items():
            if first.values[key] != value:
                first.values[key] = None
    return list(kept.values())


def repeat(points: list[Planned]) -> list[Planned]:
    """All points once a repeat, each repeat with another seed, which its arms share."""
    repeats = points[0].config.sweep.repeats
    if repeats == 1:
        return points
    repeated = []
    for number in range(repeats):
        for original in points:
            made = copy.copy(original)
            made.repeat = number
            made.overrides = [*original.overrides, f"repeat={number}"]
            made.trial = replace(original.trial, seed=original.trial.seed + number)
            repeated.append(made)
    return repeated


def balance(points: list[Planned], seed: int) -> list[Planned]:
    """Repeat by repeat, so that what is compared runs close together. Each second repeat is the one
    before it backwards: what drifts over both hits all points alike, and none comes before another
    more often than after it, but for an odd last repeat. Over as many repeats as there are points
    (twice as many if they are odd) each has every place once, and follows every other equally often
    (Williams 1949). Who is who in this order is drawn by the seed."""
    repeats = sorted({each.repeat for each in points})
    blocks = [[each for each in points if each.repeat == number] for number in repeats]
    count = len(blocks[0])
    who = random.Random(seed).sample(range(count), count)
    zigzag = [(place + 1) // 2 if place % 2 else -place // 2 for place in range(count)]
    ordered: list[Planned] = []
    for number, block in enumerate(blocks):
        row = [block[who[(place + number // 2) % count]] for place in zigzag]
        ordered += row[::-1] if number % 2 else row
    return ordered


def name(points: list[Planned]) -> None:
    """Give every point a name of its own."""
    taken: set[str] = set()
    for each in points:
        each.name = run_name(each)
        if each.folder in taken:
            each.name = f"{each.name}-{len(taken)}"
        taken.add(each.folder)


def run_name(each: Planned) -> str:
    """Short, as MLflow's tables cut names at 15 characters: ``block-t4``, ``native-r2``."""
    trial, values = each.trial, each.values
    levels = "+".join(sorted({task.level.name for task in trial.tasks}))
    parts: list[str] = ["null" if trial.arm.is_null_control else trial.arm]
    if trial.arm.is_treatment and "arm" not in values:
        parts = [levels]
    elif trial.arm.is_treatment and "xsched.level" in values:
        parts.append(levels)
    for key, value in values.items():
        if key in ("arm", "xsched.level") or value is None:
            continue
        label = "" if key in BARE else SHORT.get(key, f"{key.rpartition('.')[2]}=")
        parts.append(f"{label}{value}")
    if each.config.sweep.repeats > 1:
        parts.append(f"r{each.repeat}")
    text = "".join(c if c.isalnum() or c in "-_=.+" else "_" for c in "-".join(parts))
    return text[:LONGEST_NAME]
