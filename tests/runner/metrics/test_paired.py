import math
from itertools import product

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from runner.metrics.paired import MARGIN, effect, holm, over_repeats, paired, sign_flips


def test_over_repeats_is_a_t_interval_on_logarithms() -> None:
    found = over_repeats([1.0, 10.0, 100.0])
    half = 4.30265 / math.sqrt(3)
    assert found.value == pytest.approx(10)
    assert found.interval is not None
    assert found.interval.high == pytest.approx(10 * 10**half, rel=1e-4)
    assert over_repeats([3.0]).interval is None
    assert over_repeats([0.0, 2.0]).value == 1, "no logarithm of zero"


def test_paired_ratios_by_hand() -> None:
    found = paired([1.0, 2.0, 4.0], [0.5, 1.0, 3.0])
    logs = np.log([0.5, 0.5, 0.75])
    half = 4.30265 * logs.std(ddof=1) / math.sqrt(3)
    assert found.effect == pytest.approx(math.exp(logs.mean()))
    assert found.interval.low == pytest.approx(math.exp(logs.mean() - half), rel=1e-5)
    assert found.p == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)


def test_p_and_interval_agree() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        baseline, treatment = np.exp(rng.standard_normal((2, 5)) / 3)
        found = paired(baseline, 1.4 * treatment)
        assert (found.p < 0.05) == (1.0 not in found.interval)


def test_differences_where_a_ratio_has_no_meaning() -> None:
    found = paired([0.0, 0.1, 0.2], [0.5, 0.6, 0.8], by_ratio=False)
    assert found.effect == pytest.approx(0.5333, abs=1e-4)
    assert math.isnan(effect([0.0, 1.0], [1.0, 1.0], by_ratio=True))


def test_without_scatter_a_count_is_known_to_a_request_only() -> None:
    """19 of 20 three times over against 20 of 20 is no evidence; 0 of 20 against 20 of 20 is."""
    one_more = paired([0.95] * 3, [1.0] * 3, by_ratio=False, step=0.05)
    all_more = paired([0.0] * 3, [1.0] * 3, by_ratio=False, step=0.05)
    assert one_more.p > 0.05
    assert all_more.p < 0.05


def test_equal_sides_do_not_differ() -> None:
    assert paired([2.0] * 3, [2.0] * 3).p == 1
    assert paired([2.0] * 3, [3.0] * 3).p == 0


def test_holm() -> None:
    """Factors 3, 2, 1 from the smallest on; never falling, never above 1."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []


# ------------------------------------------------------------------------- signs


def test_signs_of_six_are_flipped_in_all_ways() -> None:
    changes = [0.3, 0.1, 0.2, 0.4, -0.05, 0.15]
    means = [abs(np.dot(signs, changes)) for signs in product((1, -1), repeat=6)]
    assert sign_flips(changes) == np.mean(np.array(means) >= means[0] - 1e-12)
    assert sign_flips([0.1] * 6) == 2 / 64, "only all one way, and all the other, are as extreme"
    assert sign_flips([0.0] * 6) == 1


def test_signs_of_many_are_drawn() -> None:
    changes = np.random.default_rng(5).normal(0.5, 1.0, 20)
    assert sign_flips(changes) == pytest.approx(stats.ttest_1samp(changes, 0).pvalue, abs=0.01)
    assert sign_flips([1.0] * 20) > 0, "as it was is one of the ways"


def test_five_repeats_have_too_few_signs() -> None:
    assert paired([1.0] * 5, [2.0, 2.1, 2.0, 2.1, 2.0]).p_flips is None
    assert paired([1.0] * 6, [2.0, 2.1, 2.0, 2.1, 2.0, 2.0]).p_flips == 2 / 64


# ------------------------------------------------------------------------- equivalence


@pytest.mark.parametrize(
    ("ratio", "scatter", "is_small"),
    [
        (1.0, 0.02, True),
        (1.05, 0.01, True),
        (1.0, 0.5, False),
        (1.0 + MARGIN, 0.001, False),
        (0.5, 0.01, False),
    ],
)
def test_a_small_effect_has_to_be_shown(ratio: float, scatter: float, is_small: bool) -> None:
    apart = np.exp(scatter * np.array([-1.0, 1.0, 0.0, -1.0, 1.0]))
    assert paired([1.0] * 5, ratio * apart).is_small is is_small


def test_a_difference_is_small_against_its_baseline() -> None:
    assert paired([0.5, 0.5, 0.5], [0.51, 0.50, 0.49], by_ratio=False).is_small
    assert not paired([0.05, 0.05, 0.05], [0.06, 0.05, 0.04], by_ratio=False).is_small
