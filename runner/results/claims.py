"""What a configuration says of figures, checked before a sweep: `expect:` and `sweep.primary`. What
became of it: `runner.results.expectations`."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from runner.config.errors import UserError
from runner.config.schema import PLATFORMS, POLICY_NAMES, Config, ExpectConfig, TaskConfig, all_keys
from runner.config.settings import HasSettings, is_number, select
from runner.metrics.names import Figure, check_scope, deciding, figure_named, tasks_of
from runner.proof.checks import Verdict
from runner.trial.status import Status
from xsched_bindings.types import PreemptLevel

#: Of a summary, what `equals` can be asked of, and what it can be.
LEVELS = [level.name for level in PreemptLevel]
TEXTS: dict[str, Sequence[str]] = {
    "proof": list(Verdict),
    "priority": ["applied", "not applied", "equal"],
    "status": list(Status),
    "level": [*LEVELS, "none"],
    "asked_level": LEVELS,
    "policy": [*POLICY_NAMES, "none"],
    "platform": PLATFORMS,
    "placement": ["threads", "processes"],
}


def check_figures(config: Config) -> None:
    """What a configuration says of figures, before anything runs: a misspelled name would be found
    when all runs have ended, a misspelled key would mean other runs. Raises `UserError`."""
    tasks = config.task_set.tasks
    if config.sweep.primary is not None:
        _check_figure(deciding(config.sweep.primary, "sweep.primary"), tasks, "sweep.primary")
    keys = set(all_keys())
    groups = {key.partition(".")[0] for key in keys if "." in key}
    for number, expected in enumerate(config.expect):
        _check(expected, f"expect.{number}", tasks, keys | groups)


def _check_figure(figure: Figure, tasks: Mapping[str, TaskConfig], key: str) -> None:
    """Raise `UserError` if no run of this task set will have the figure."""
    priorities = {name: task.priority for name, task in tasks.items()}
    check_scope(figure, priorities, key)
    if needs := figure.metric.needs:
        for name in tasks_of(figure, priorities):
            if getattr(tasks[name], needs) is None:
                problem = f"{name} has no {needs}, so no run will have that figure"
                remedy = f"give each task that it is about one: task_set.tasks.{name}.{needs}=…"
                raise UserError(key, figure, problem, (), remedy)


def check_claims(config: Config, points: Sequence[HasSettings]) -> None:
    """Every claim that is meant for this platform, before anything runs, against what will run: a
    point that is not there would leave it without a verdict. Raises `UserError`."""
    remedy = "sweep over it, or drop all claims: expect=[]"
    for number, each in enumerate(config.expect):
        if each.platform not in (None, config.platform.name):
            continue
        for name, selector in (("of", each.of), ("to", each.to)):
            for token in selector.split():
                if not select(token, points):
                    key = token.partition("=")[0]
                    settings = _settings(key, points)
                    problem = f"no run of this sweep has {token}"
                    raise UserError(f"expect.{number}.{name}", selector, problem, settings, remedy)
            if not select(selector, points):
                problem = "no run of this sweep has all of it"
                raise UserError(f"expect.{number}.{name}", selector, problem, (), remedy)
        where = f"expect.{number}.proportional_to"
        for key in each.proportional_to.split():
            settings = _settings(key, select(each.of, points))
            if len(settings) < 2:
                problem = f"{key} is not swept over"
                raise UserError(where, each.proportional_to, problem, (), remedy)
            if texts := [one for one in settings if not is_number(one.partition("=")[2])]:
                problem = f"a figure cannot grow with {texts[0]}"
                numbers = "name a key whose values are numbers"
                raise UserError(where, each.proportional_to, problem, (), numbers)


def _settings(key: str, points: Iterable[HasSettings]) -> list[str]:
    found = (each.setting(key) for each in points)
    return [*dict.fromkeys(f"{key}={value}" for value in found if value is not None)]


def _check(
    expected: ExpectConfig, path: str, tasks: Mapping[str, TaskConfig], keys: Collection[str]
) -> None:
    if expected.at_least is None and expected.at_most is None and expected.equals is None:
        remedy = "give at_least, at_most or equals"
        raise UserError(path, expected.what, "it has no bound, so nothing can meet it", (), remedy)
    low, high = expected.at_least, expected.at_most
    if low is not None and high is not None and not low <= high:
        raise UserError(
            f"{path}.at_least", low, f"nothing is that and at most {high:g}", (), "correct one"
        )
    if expected.equals is not None and not (low is None and high is None):
        problem, remedy = "a text has no bounds", "leave out at_least and at_most"
        raise UserError(f"{path}.equals", expected.equals, problem, (), remedy)
    if expected.equals is None:
        _check_figure(figure_named(expected.metric, f"{path}.metric"), tasks, f"{path}.metric")
    elif expected.metric not in TEXTS:
        raise UserError(f"{path}.metric", expected.metric, "a run has no such text", TEXTS)
    elif not {*expected.equals.split("+")} <= {*TEXTS[expected.metric]}:  # of several levels
        problem, allowed = f"it never says that of {expected.metric}", TEXTS[expected.metric]
        raise UserError(f"{path}.equals", expected.equals, problem, allowed)
    for name in ("of", "to"):
        for token in getattr(expected, name).split():
            if "=" not in token:
                allowed = "key=value, separated by blanks"
                raise UserError(f"{path}.{name}", token, "not understood", allowed)
    if expected.to and set(expected.of.split()) == set(expected.to.split()):
        problem = "it is what `of` names, too, so the ratio is always 1"
        raise UserError(f"{path}.to", expected.to, problem, remedy="name what it is divided by")
    named = [token.partition("=")[0] for token in f"{expected.of} {expected.to}".split()]
    for key in (*named, *expected.proportional_to.split()):
        if key not in keys and not key.startswith("task_set.tasks."):
            raise UserError(path, key, "there is no such key", sorted(keys))
