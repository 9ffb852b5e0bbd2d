"""The points of a sweep: expanded, checked all together, named, repeated, put in order.

What is wrong is said at once: nothing is imported here that only running takes (pyarrow, MLflow).
"""

import copy
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.types import Override, Transformer, ValueType
from hydra.errors import HydraException

from runner.config.command_line import MOST_POINTS, parsed
from runner.config.compose import Compose, Configurations
from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config
from runner.config.settings import depends, parameters_of, setting
from runner.config.spec import TrialSpec
from runner.platforms.choose import (
    choose,
    choose_placement,
    devices,
    is_elsewhere,
    settle,
    shared,
)
from runner.runs import store

SHORT = {"xsched.threshold": "t", "xsched.batch_size": "b", "xsched.timeslice_us": "slice"}
#: Swept keys whose value alone makes a readable name.
BARE = ("task_set", "model", "arm", "platform", "arrival", "xsched", "xsched.policy")

#: What a sweep has one of: of several values the first would stand for all.
ONE_OF_A_SWEEP = (
    *("experiment", "sweep", "expect", "outcome", "tracking", "output_root", "dry_run", "repeat"),
)
#: How long planning is silent, and then where there is no terminal.
UNTOLD_S, PLAIN_EVERY_S = 2.0, 10.0
#: MLflow shows 15 characters; a file system takes 255 bytes.
LONGEST_NAME = 100


class Planned:
    """One combination of swept values: its overrides, the trial they give, and where it goes.

    values: by swept key; None where the trial is the same for all values of the key, and is run
    once for all of them. folder: the run's, within the sweep's."""

    def __init__(self, overrides: list[str], values: dict[str, str | None]) -> None:
        self.overrides, self.values = overrides, values
        self.repeat = 0
        self.config = Config()
        self.trial: TrialSpec
        self.name = self.folder = ""
        #: Filled when it is asked for, for all repeats at once: they share the configuration.
        self._parameters: dict[str, Any] = {}

    @property
    def arm(self) -> str:
        return self.trial.arm

    @property
    def task_set(self) -> str:
        return self.trial.task_set

    @property
    def measurement(self) -> tuple[str, int]:
        """See `runner.runs.record.Entry`."""
        return self.trial.config_hash, self.repeat

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The configuration as `runner.runs.run.Run` will have it."""
        if not self._parameters:
            self._parameters |= parameters_of(self.config)
        return self._parameters

    def setting(self, key: str) -> str | None:
        """What the run will have for a dotted key, see `runner.runs.run.Run.setting`."""
        return setting(key, self.arm, self.values, self.parameters)


@dataclass(frozen=True)
class Plan:
    """Every trial of a sweep in the order of running. remarks: what a person must know of it, a
    line each."""

    points: list[Planned]
    remarks: list[str]


def plan(arguments: list[str], compose: Compose, elsewhere: bool = False) -> Plan:
    """Raises `UserError` if any point is wrong, but for those that are to be left out then.
    elsewhere: whether runs may be on other machines."""
    points, impossible = check(expand(arguments), compose, elsewhere)
    points = merge(points)
    config, sweep = points[0].config, points[0].config.sweep
    if config.expect:
        from runner.results.claims import check_claims

        check_claims(config, points)
    store.configured(config)
    repeated = repeat(points)
    name(repeated)
    balanced = sweep.order == "balanced" or (sweep.order == "auto" and sweep.repeats > 1)
    ordered = balance(repeated, config.seed) if balanced else repeated
    return Plan(ordered, impossible)


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
                each.values | (values if len(choices) > 1 else {}),
            )
            for each in points
            for choice, values in choices
        ]
    return points


Values = dict[str, str | None]


def _choices(override: Override) -> list[tuple[str, Values]]:
    """(override, values by key) of every value that this argument sweeps over, or of its only
    one. A value with braces gives several keys at once, each of which is swept over then."""
    if not override.is_sweep_override():
        return [(override.input_line or "", {})]
    key, given = override.key_or_group, override.get_value_string()
    if override.value_type in (ValueType.INTERVAL_SWEEP, ValueType.GLOB_CHOICE_SWEEP):
        problem = "not values that could be swept over"
        raise UserError(key, given, problem, "a list (4,8,16), choice(), range()")
    try:
        values = list(override.sweep_iterator())
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
    told = [dict(_told(key, value)) for value in values]
    if len(values) > 1 and "platform.devices" in told[0]:
        listed = ",".join(given.replace("[", " ").replace("]", " ").replace(",", " ").split())
        remedy = f"platform.devices=[{listed}]"
        raise UserError(key, given, "repeats are spread over one list of GPUs", remedy=remedy)
    if len({tuple(each) for each in told}) > 1:
        remedy = f"{key}={{a:1,b:2}},{{a:3,b:4}}"
        raise UserError(key, given, "its values do not all give the same keys", remedy=remedy)
    texts = map(Transformer.str, values)
    written = [f"{override.get_key_element()}={text}" for text in texts]
    return list(zip(written, told, strict=True))


def _told(key: str, value: Any) -> Iterator[tuple[str, str | None]]:
    """A value by its key; of one with braces each by its own."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _told(f"{key}.{name}", inner)
    else:
        yield key, Transformer.str(value)


def argument(key: str, value: object) -> str:
    """What is swept over by hydra.sweeper.params, as an argument: a text as one would type it, or a
    list of values, of which a mapping gives several keys at once."""
    where = f"hydra.sweeper.params.{key}"
    if isinstance(value, str):
        return f"{key}={value}"
    values = value if isinstance(value, list) else [value]
    if not values or isinstance(value, dict) or any(isinstance(each, list) for each in values):
        allowed = "[solo, xsched], 'solo,xsched', [{a: 1, b: 2}, {a: 3, b: 4}]"
        raise UserError(where, value, "not values to sweep over", allowed)
    return f"{key}={','.join(map(Transformer.str, values))}"


def check(
    points: list[Planned], compose: Compose, elsewhere: bool = False
) -> tuple[list[Planned], list[str]]:
    """Compose and validate all points and decide `auto` for all of them. Returns those that can be,
    and a line about the others if they are to be left out. elsewhere: what only a device knows that
    this machine does not have is left to be found where the runs are."""
    named, by_auto = choose(), False
    faults, configurations = _Faults(points), Configurations(compose)
    with _progress(len(points)) as tell:
        for number, each in enumerate(points):
            tell(number)
            with faults.of(each):
                each.config = configurations.of(each.overrides)
                if each.config.platform.name == "auto":
                    each.config.platform.name, by_auto = named, True
            with faults.of(each, may_be_left_out=True):
                each.trial = resolve(each.config)
            with faults.of(each):
                _check_home(each)
                _check_figures(each.config)
    _check_one_sweep(points)
    possible = faults.without(points)
    here = [each for each in possible if not (elsewhere and is_elsewhere(each.config))]
    left_open = [each for each in here if each.trial.placement == "auto"]
    if left_open:
        platform = shared(left_open[0].config)
        chosen = choose_placement([each.trial for each in left_open], platform)
        for each, placement in zip(left_open, chosen, strict=True):
            each.config.platform.placement = placement
            each.trial = replace(each.trial, placement=placement)
    for each in here:
        with faults.of(each):
            devices(each.config)
        with faults.of(each, may_be_left_out=True):
            each.trial = settle(each.config, each.trial, shared(each.config))
    remarks = [f"platform=auto is {named}, on every machine"] if elsewhere and by_auto else []
    return faults.without(possible), [*remarks, *faults.said()]


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """Tells how many points are planned to whoever has waited a while: in a terminal in one line
    that goes away, elsewhere in a line now and then."""
    told_s = time.monotonic() + UNTOLD_S - PLAIN_EVERY_S

    with ExitStack() as shown:
        status: Any = None

        def tell(number: int) -> None:
            nonlocal told_s, status
            every_s = PLAIN_EVERY_S if status is None else 0.0
            if time.monotonic() - told_s < every_s:
                return
            from runner.results.console import console

            told_s, line = time.monotonic(), f"planning: {number:,} of {count:,} points"
            if status:
                status.update(line)
            elif console.is_terminal and not console.only_end:
                status = shown.enter_context(console.status(line))
            elif not console.only_end:
                console.print(line)

        yield tell


class _Faults:
    """What is wrong with points of a sweep: it is raised, or kept of a combination that cannot be
    where these are to be left out (``sweep.skip_invalid``)."""

    def __init__(self, points: Sequence[Planned]) -> None:
        self._points = points
        self._found: dict[Planned, UserError] = {}

    @contextmanager
    def of(self, point: Planned, may_be_left_out: bool = False) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            if len(self._points) == 1:
                raise
            number = self._points.index(point) + 1
            where = f"in point {number} of {len(self._points)}: {point.values}"
            remedy = "sweep.skip_invalid=true leaves such points out" if may_be_left_out else ""
            told = UserError("", "", f"{error}\n  {where}", remedy=remedy)
            if not (may_be_left_out and point.config.sweep.skip_invalid):
                raise told from error
            self._found.setdefault(point, told)

    def without(self, points: Sequence[Planned]) -> list[Planned]:
        """Raises `UserError` if nothing is left."""
        left = [each for each in points if each not in self._found]
        if not left:
            raise next(iter(self._found.values()))
        return left

    def said(self) -> list[str]:
        """In one line, with the first reason."""
        if not self._found:
            return []
        names = " · ".join(spoken(each.values) for each in self._found)
        reason = str(next(iter(self._found.values()))).partition("\n")[0]
        count = f"{len(self._found)} of {len(self._points)} points"
        return [f"sweep.skip_invalid leaves out {count}: {names} ({reason})"]


def spoken(values: Mapping[str, str | None]) -> str:
    """``xsched t=8 b=4``: the swept values in a few words."""
    return " ".join(_labelled(*each) for each in values.items() if each[1] is not None)


def _labelled(key: str, value: str | None) -> str:
    if key in BARE:
        return str(value)
    return f"{SHORT.get(key, key.rpartition('.')[2])}={value}"


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
        from runner.results.claims import check_figures  # numpy, which others do without

        check_figures(config)


def merge(points: list[Planned]) -> list[Planned]:
    """Points whose trials are the same measurement become one, which serves all their values: an
    arm without XSched does not depend on a threshold. Raises `UserError` for a value that is there
    in two spellings: whoever wrote both expects two runs."""
    kept: dict[str, Planned] = {}
    merged: list[tuple[Planned, str, str]] = []
    for each in points:
        first = kept.setdefault(each.trial.config_hash, each)
        for key, value in each.values.items():
            _check_spelt_once(key, first, each)
            if first.values[key] != value and depends(each.arm, key):
                merged.append((first, key, f"{first.values[key]},{value}"))
            if first.values[key] != value or not depends(each.arm, key):
                first.values[key] = None
    for first, key, spelt in merged:
        _check_serves_all(first, key, spelt, kept.values())
    return list(kept.values())


def _check_serves_all(point: Planned, key: str, spelt: str, points: Iterable[Planned]) -> None:
    """A point that has two values of a key counts for all of them, so there must be no third one
    that is another measurement."""
    for each in points:
        same = each.arm == point.arm and {**each.values, key: None} == point.values
        if same and each.values[key] is not None:
            problem = f"{spelt.replace(',', ' and ')} are the same measurement"
            raise UserError(key, spelt, problem, remedy="leave one out")


def _check_spelt_once(key: str, one: Planned, other: Planned) -> None:
    first, second = one.values[key], other.values[key]
    meant = other.parameters.get(key)
    if None in (first, second, meant) or first == second or one.parameters.get(key) != meant:
        return
    problem = f"{first} and {second} are both {meant}"
    remedy = "leave one out; for several runs of each point: sweep.repeats=3"
    raise UserError(key, f"{first},{second}", problem, remedy=remedy)


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


def name(points: Iterable[Planned], taken: Collection[str] = ()) -> None:
    """Give every point a name, and a folder of its own. taken: folders that there are."""
    folders = set(taken)
    for each in points:
        each.name = run_name(each)
        digits = each.trial.config_hash[:8]
        if f"{each.name}-{digits}" in folders:
            each.name = f"{each.name}-{len(folders)}"
        each.folder = f"{each.name}-{digits}"
        folders.add(each.folder)


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
