"""What an experiment is meant to show, checked against what its runs show: `expect:` in a
configuration. Pure: records in, verdicts out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config.schema import ExpectConfig
from runner.config.settings import select
from runner.metrics.names import figure_named
from runner.metrics.paired import over_repeats
from runner.results.pairs import apart
from runner.results.points import left_out
from runner.runs import files
from runner.runs.record import Figure
from runner.runs.repeats import MIN_REPEATS
from runner.runs.run import Run
from runner.trial.status import Status

MET, NOT_MET, INCONCLUSIVE = "met", "not met", "inconclusive"
#: Fewer lie on a line more easily than not.
MIN_POINTS = 3
#: Texts that a run has which was refused. What else it had was not in effect.
ENDINGS = ("status", "proof", "platform")


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

    counted = [run for run in runs if not left_out(run)]
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
    ended = [run for run in runs if expected.metric in ENDINGS or run.status is Status.FINISHED]
    texts = {str(getattr(run.summary, expected.metric)) for run in select(expected.of, ended)}
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
    beside = select(expected.to, runs)
    other = _mean(expected.metric, beside)
    if value is None or other is None or any(apart(b, a) for b in beside for a in own):
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
