"""What an experiment is meant to show, checked against what its runs show: `expect:` in a
configuration. Pure: records in, verdicts out."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config.errors import UserError
from runner.config.schema import Config, ExpectConfig, all_keys
from runner.metrics.intervals import over_repeats
from runner.metrics.names import check_scope, figure_named
from runner.runs import files
from runner.runs.record import Figure
from runner.runs.repeats import MIN_REPEATS
from runner.runs.run import Run
from runner.runs.sweep import HasSettings, select
from runner.trial.status import Status

MET, NOT_MET, INCONCLUSIVE = "met", "not met", "inconclusive"
#: Of a summary, what `equals` can be asked of.
TEXTS = ("proof", "priority", "status", "level", "asked_level", "policy", "platform", "placement")
#: Fewer lie on a line more easily than not.
MIN_POINTS = 3


@dataclass(frozen=True)
class Finding:
    """One expectation and what became of it. value: over the repeats, None without any. interval:
    95 %, None where there is none."""

    what: str
    verdict: str
    value: float | str | None
    interval: tuple[float | None, float | None] | None
    bounds: str
    why: str = ""

    @property
    def shown(self) -> str:
        """The interval, else why there is none."""
        if self.interval is None or not isinstance(self.value, float):
            return self.why or "–"
        return str(Figure(self.value, self.interval).estimate.interval)


def evaluate(expect: Sequence[ExpectConfig], runs: Sequence[Run]) -> list[Finding]:
    """Every expectation that is meant for the platform of these runs."""
    platforms = {run.summary.platform for run in runs}
    return [_judge(one, runs) for one in expect if one.platform in (None, *platforms)]


def _judge(expected: ExpectConfig, runs: Sequence[Run]) -> Finding:
    if expected.equals is not None:
        return _judge_text(expected, runs)
    signs = (("≥", expected.at_least), ("≤", expected.at_most))
    bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in signs if bound is not None)
    repeats = sorted({run.repeat for run in runs})
    by_repeat = [_value(expected, [r for r in runs if r.repeat == repeat]) for repeat in repeats]
    values = [value for value in by_repeat if value is not None and value > 0]
    if not values:
        return Finding(expected.what, INCONCLUSIVE, None, None, bounds, "there is no such run")
    estimate = over_repeats(values)
    if estimate.interval is None or len(values) < MIN_REPEATS:
        why = f"fewer than {MIN_REPEATS} repeats"
        return Finding(expected.what, INCONCLUSIVE, estimate.value, None, bounds, why)
    low = -math.inf if expected.at_least is None else expected.at_least
    high = math.inf if expected.at_most is None else expected.at_most
    found = estimate.interval
    verdict = NOT_MET if found.high < low or found.low > high else INCONCLUSIVE
    if low <= found.low and found.high <= high:
        verdict = MET
    return Finding(expected.what, verdict, estimate.value, Figure.of(estimate).interval, bounds)


def _judge_text(expected: ExpectConfig, runs: Sequence[Run]) -> Finding:
    texts = {str(getattr(run.summary, expected.metric)) for run in select(expected.of, runs)}
    bounds = f"= {expected.equals}"
    if not texts:
        return Finding(expected.what, INCONCLUSIVE, None, None, bounds, "there is no such run")
    verdict = MET if texts == {expected.equals} else NOT_MET
    return Finding(expected.what, verdict, ", ".join(sorted(texts)), None, bounds)


def _value(expected: ExpectConfig, runs: Sequence[Run]) -> float | None:
    """The figure in one repeat, the ratio of two, or how well a line describes it."""
    own = select(expected.of, runs)
    if expected.proportional_to:
        return _proportionality(expected.metric, expected.proportional_to.split(), own)
    value = _mean(expected.metric, own)
    if not expected.to:
        return value
    below = _mean(expected.metric, select(expected.to, runs))
    return None if value is None or below is None else value / below


def _proportionality(metric: str, keys: Sequence[str], runs: Sequence[Run]) -> float | None:
    """R² of the least-squares line through the origin: the share of the figure's variance, about
    its mean, that the line explains. None for fewer than three runs or without any variance."""
    points = [
        (math.prod(float(run.setting(key) or math.nan) for key in keys), figure.value)
        for run in runs
        if run.status is Status.FINISHED and (figure := run.figure(metric))
    ]
    if len(points) < MIN_POINTS:
        return None
    x, y = np.array(points).T
    slope = (x @ y) / (x @ x)
    variance = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - slope * x) ** 2).sum() / variance) if variance else None


def _mean(metric: str, runs: Sequence[Run]) -> float | None:
    """Geometric mean over the runs that have the figure."""
    figures = [run.figure(metric) for run in runs if run.status is Status.FINISHED]
    known = [figure.value for figure in figures if figure is not None and figure.value > 0]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None


def read_findings(sweep: Path | None) -> list[Finding]:
    """What became of the expectations of the sweep in a folder; [] if there were none."""
    if sweep is None:
        return []
    try:
        return files.read_json(sweep / files.EXPECTATIONS, list[Finding])
    except (OSError, ValueError):
        return []


# --- before a sweep ------------------------------------------------------------------------------


def check_figures(config: Config) -> None:
    """What a configuration says of figures, before anything runs: a misspelled name would be found
    when all runs have ended, a misspelled key would mean other runs. Raises `UserError`."""
    priorities = {name: task.priority for name, task in config.task_set.tasks.items()}
    if config.sweep.primary is not None:
        figure = figure_named(config.sweep.primary, "sweep.primary")
        check_scope(figure, priorities, "sweep.primary")
    keys = set(all_keys())
    groups = {key.partition(".")[0] for key in keys if "." in key}
    for number, expected in enumerate(config.expect):
        _check(expected, f"expect.{number}", priorities, keys | groups)


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
        for key in each.proportional_to.split():
            if len(_settings(key, select(each.of, points))) < 2:
                problem = f"{key} is not swept over"
                where = f"expect.{number}.proportional_to"
                raise UserError(where, each.proportional_to, problem, (), remedy)


def _settings(key: str, points: Iterable[HasSettings]) -> list[str]:
    found = (each.setting(key) for each in points)
    return [*dict.fromkeys(f"{key}={value}" for value in found if value is not None)]


def _check(
    expected: ExpectConfig, path: str, priorities: Mapping[str, int], keys: Collection[str]
) -> None:
    if expected.at_least is None and expected.at_most is None and expected.equals is None:
        remedy = "give at_least, at_most or equals"
        raise UserError(path, expected.what, "it has no bound, so nothing can meet it", (), remedy)
    low, high = expected.at_least, expected.at_most
    if low is not None and high is not None and not low <= high:
        raise UserError(f"{path}.at_least", low, f"nothing is that and at most {high:g}")
    if expected.equals is None:
        check_scope(figure_named(expected.metric, f"{path}.metric"), priorities, f"{path}.metric")
    elif expected.metric not in TEXTS:
        raise UserError(f"{path}.metric", expected.metric, "a run has no such text", TEXTS)
    for name in ("of", "to"):
        for token in getattr(expected, name).split():
            if "=" not in token:
                allowed = "key=value, separated by blanks"
                raise UserError(f"{path}.{name}", token, "not understood", allowed)
    named = [token.partition("=")[0] for token in f"{expected.of} {expected.to}".split()]
    for key in (*named, *expected.proportional_to.split()):
        if key not in keys and not key.startswith("task_set.tasks."):
            raise UserError(path, key, "there is no such key", sorted(keys))
