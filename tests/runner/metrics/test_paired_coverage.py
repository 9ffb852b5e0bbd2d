"""How often what is said of repeats is true, over many draws from known distributions. Below each
test stands the change of the code that makes it fail."""

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.metrics.intervals import LEVEL
from runner.metrics.paired import MARGIN, holm, over_repeats, paired
from tests.runner.metrics.test_intervals import autoregression

Series = NDArray[np.float64]

LOW, HIGH = 0.93, 0.985
DRAWS = 3000
#: φ of autoregressions whose correlation times are those of real runs: 9 (median), 48 (longest).
REAL = (0.8, 0.96)
STALLED, TEN_FOLD = 0.1, 10.0


def runs(
    rng: np.random.Generator,
    repeats: int,
    phi: float = 0.5,
    requests: int = 200,
    share: float = 0.9,
) -> Series:
    """A quantile of runs whose requests are autocorrelated and whose speed differs by 10 % from run
    to run, one draw a row."""
    drawn = np.exp(0.3 * autoregression(rng, phi, DRAWS * repeats, requests))
    found = np.percentile(drawn, 100 * share, axis=1, method="inverted_cdf")
    return np.asarray(found.reshape(DRAWS, repeats) * speeds(rng, repeats))


def speeds(rng: np.random.Generator, repeats: int, scatter: float = 0.1) -> Series:
    return np.exp(scatter * rng.standard_normal((DRAWS, repeats)))


def stalls(rng: np.random.Generator, repeats: int) -> Series:
    """By how much runs take longer of which some stand still."""
    return np.where(rng.random((DRAWS, repeats)) < STALLED, TEN_FOLD, 1.0)


def coverage(baseline: Series, treatment: Series, ratio: float) -> float:
    found = [paired(b, t) for b, t in zip(baseline, treatment, strict=True)]
    return float(np.mean([ratio in each.interval for each in found]))


# ------------------------------------------------------------------------- ratios


@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_gaussian_repeats(repeats: int) -> None:
    """Fails with the normal quantile for that of t."""
    rng = np.random.default_rng(18)
    assert LOW <= coverage(runs(rng, repeats), 0.7 * runs(rng, repeats), 0.7) <= HIGH


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("repeats", [5, 10])
def test_stalled_runs(repeats: int, both: bool) -> None:
    """A tenth of the baseline's runs takes ten times as long, or of both arms' runs; the ratio that
    is asked for is that of runs which nothing held up. Fails with the interval of the medians'
    scatter (as of a bootstrap of five values), and with a mean that leaves out an outlier."""
    rng = np.random.default_rng(19)
    held = [
        coverage(
            speeds(rng, repeats) * stalls(rng, repeats),
            0.7 * speeds(rng, repeats) * (stalls(rng, repeats) if both else 1.0),
            0.7,
        )
        for _ in range(4)
    ]
    assert LOW <= np.mean(held) <= HIGH


@pytest.mark.parametrize("phi", REAL)
@pytest.mark.parametrize("repeats", [5, 10])
def test_requests_as_correlated_as_in_real_runs(repeats: int, phi: float) -> None:
    """Fails if requests and not runs are taken as independent."""
    rng = np.random.default_rng(20)
    assert LOW <= coverage(runs(rng, repeats, phi), 0.7 * runs(rng, repeats, phi), 0.7) <= HIGH


def test_a_machine_that_drifts_hits_both_arms_of_a_repeat() -> None:
    """Pairing takes out what a repeat's runs have in common. Fails without it."""
    rng = np.random.default_rng(21)
    drift = np.exp(rng.standard_normal((DRAWS, 5)))
    baseline, treatment = drift * runs(rng, 5), 0.7 * drift * runs(rng, 5)
    found = [paired(b, t) for b, t in zip(baseline, treatment, strict=True)]
    assert LOW <= np.mean([0.7 in each.interval for each in found]) <= HIGH
    assert np.mean([each.p < 0.05 for each in found]) > 0.8, "and the difference is still seen"


def test_the_figure_of_an_arm_over_its_repeats() -> None:
    draws = speeds(np.random.default_rng(22), 5, 0.2)
    found = [over_repeats(draw).interval for draw in draws]
    assert LOW <= np.mean([each is not None and 1.0 in each for each in found]) <= HIGH


# ------------------------------------------------------------------------- false alarms


@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_an_arm_against_itself_shows_no_difference(repeats: int) -> None:
    rng = np.random.default_rng(23)
    one, other = speeds(rng, repeats), speeds(rng, repeats)
    p_values = np.array([paired(b, t).p for b, t in zip(one, other, strict=True)])
    assert 0.935 <= np.mean(p_values >= 1 - LEVEL) <= HIGH


def test_flipped_signs_against_runs_that_stall() -> None:
    """They are exact whatever the distribution. Fails with one-sided counting."""
    rng = np.random.default_rng(24)
    one, other = (speeds(rng, 8) * stalls(rng, 8) for _ in range(2))
    p_values = [paired(b, t).p_flips or 0.0 for b, t in zip(one, other, strict=True)]
    assert 0.035 <= np.mean(np.array(p_values) < 1 - LEVEL) <= 0.065


@pytest.mark.parametrize("treatments", [3, 8, 17])
def test_treatments_share_one_false_alarm(treatments: int) -> None:
    """Against one baseline, as in a sweep. Fails without the correction: 12 % of the sweeps with
    three treatments have a false verdict then, 44 % of those with 17."""
    rng = np.random.default_rng(25)
    baseline = speeds(rng, 5)
    others = [speeds(rng, 5) for _ in range(treatments)]
    alarms = uncorrected = 0
    for draw in range(DRAWS):
        p_values = [paired(baseline[draw], other[draw]).p for other in others]
        alarms += min(holm(p_values)) < 1 - LEVEL
        uncorrected += min(p_values) < 1 - LEVEL
    assert alarms / DRAWS <= 0.06
    assert uncorrected / DRAWS > 0.09


@pytest.mark.parametrize("scatter", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("ratio", [1 + MARGIN, 1 / (1 + MARGIN)])
def test_a_tenth_is_hardly_ever_called_small(ratio: float, scatter: float) -> None:
    """Fails if "no difference shown" is taken for it, as most draws at 10 % scatter show none."""
    rng = np.random.default_rng(26)
    found = [
        paired(b, ratio * t)
        for b, t in zip(speeds(rng, 5, scatter), speeds(rng, 5, scatter), strict=True)
    ]
    assert np.mean([each.is_small for each in found]) <= 0.05 + 0.01
    if scatter == 0.1:
        assert np.mean([each.p >= 1 - LEVEL for each in found]) > 0.5


def test_nothing_is_called_small_where_that_can_be_seen() -> None:
    rng = np.random.default_rng(27)
    pairs = zip(speeds(rng, 5, 0.02), speeds(rng, 5, 0.02), strict=True)
    assert np.mean([paired(b, t).is_small for b, t in pairs]) > 0.9


def test_adding_repeats_until_there_is_a_verdict_raises_false_alarms() -> None:
    """What docs/statistics.md warns of."""
    rng = np.random.default_rng(28)
    one, other = speeds(rng, 12), speeds(rng, 12)
    alarms = [
        any(paired(b[:n], t[:n]).p < 1 - LEVEL for n in range(3, 13))
        for b, t in zip(one, other, strict=True)
    ]
    assert 0.12 < np.mean(alarms) < 0.25
