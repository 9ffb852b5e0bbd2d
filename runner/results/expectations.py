"""What an experiment is meant to show, checked against what its runs show: `expect:` in a
configuration. Pure: records in, verdicts out."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config.errors import UserError
from runner.config.schema import PLATFORMS, POLICY_NAMES, Config, ExpectConfig, all_keys
from runner.metrics.names import check_scope, deciding, figure_named
from runner.metrics.paired import over_repeats
from runner.proof.checks import Verdict
from runner.runs import files
from runner.runs.record import Figure
from runner.runs.repeats import MIN_REPEATS
from runner.runs.run import Run
from runner.runs.sweep import HasSettings, select
from runner.trial.status import Status
from xsched_bindings.types import PreemptLevel

MET, NOT_MET, INCONCLUSIVE = "met", "not met", "inconclusive"
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

    def inconclusive(why: str, value: float | None = None) -> Finding:
        return Finding(expected.what, INCONCLUSIVE, value, None, bounds, why)

    counted = [run for run in runs if run.status is Status.FINISHED and run.summary.valid]
    repeats = sorted({run.repeat for run in counted})
    by_repeat = [_value(expected, [r for r in counted if r.repeat == repeat]) for repeat in repeats]
    values = [value for value in by_repeat if value is not None]
    if not values:
        return inconclusive("there is no such run that is valid")
    if not all(map(math.isfinite, values)):
        return inconclusive("a value is zero, which no ratio takes")
    estimate = over_repeats(values, by_ratio=_by_ratio(expected))
    if estimate.interval is None or len(values) < MIN_REPEATS:
        return inconclusive(f"fewer than {MIN_REPEATS} repeats", estimate.value)
    low = -math.inf if expected.at_least is None else expected.at_least
    high = math.inf if expected.at_most is None else expected.at_most
    found = estimate.interval
    verdict = NOT_MET if found.high < low or found.low > high else INCONCLUSIVE
    if low <= found.low and found.high <= high:
        verdict = MET
    return Finding(expected.what, verdict, estimate.value, Figure.of(estimate).interval, bounds)


def _by_ratio(expected: ExpectConfig) -> bool:
    """Whether repeats are averaged by their logarithms."""
    return figure_named(expected.metric).metric.by_ratio and not expected.proportional_to


def _judge_text(expected: ExpectConfig, runs: Sequence[Run]) -> Finding:
    texts = {str(getattr(run.summary, expected.metric)) for run in select(expected.of, runs)}
    bounds = f"= {expected.equals}"
    if not texts:
        return Finding(expected.what, INCONCLUSIVE, None, None, bounds, "there is no such run")
    verdict = MET if texts == {expected.equals} else NOT_MET
    return Finding(expected.what, verdict, ", ".join(sorted(texts)), None, bounds)


def _value(expected: ExpectConfig, runs: Sequence[Run]) -> float | None:
    """The figure in one repeat; against another one its ratio or, as in a comparison, its
    difference; or how it grows. nan where that takes a logarithm of zero, None without a run."""
    own = select(expected.of, runs)
    if expected.proportional_to:
        return _growth(expected.metric, expected.proportional_to.split(), own)
    value = _mean(expected.metric, own)
    if not expected.to:
        return value
    other = _mean(expected.metric, select(expected.to, runs))
    if value is None or other is None:
        return None
    if not _by_ratio(expected):
        return value - other
    return value / other if value > 0 and other > 0 else math.nan


def _growth(metric: str, keys: Sequence[str], runs: Sequence[Run]) -> float | None:
    """With which power of the keys' product the figure grows: the slope of the least-squares line
    of its logarithm, 1 for what is proportional. None for fewer than three runs, or of one setting
    alone."""
    points = [
        (math.prod(float(run.setting(key) or math.nan) for key in keys), figure.value)
        for run in runs
        if (figure := run.figure(metric))
    ]
    if len(points) < MIN_POINTS or len({x for x, _ in points}) < 2:
        return None
    if min(min(point) for point in points) <= 0:
        return math.nan
    x, y = np.log(np.array(points).T)
    return float(np.polyfit(x, y, 1)[0])


def _mean(metric: str, runs: Sequence[Run]) -> float | None:
    """Over the runs that have the figure."""
    known = [figure.value for run in runs if (figure := run.figure(metric))]
    by_ratio = figure_named(metric).metric.by_ratio
    return over_repeats(known, by_ratio).value if known else None


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
        check_scope(deciding(config.sweep.primary, "sweep.primary"), priorities, "sweep.primary")
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
        raise UserError(
            f"{path}.at_least", low, f"nothing is that and at most {high:g}", (), "correct one"
        )
    if expected.equals is None:
        check_scope(figure_named(expected.metric, f"{path}.metric"), priorities, f"{path}.metric")
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
