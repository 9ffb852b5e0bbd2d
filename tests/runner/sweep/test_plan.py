"""Merging, repeating and ordering the points of a sweep."""

import copy
from collections import Counter
from dataclasses import replace

from runner.config.resolve import resolve
from runner.config.schema import ArmConfig, Config, TaskConfig
from runner.sweep.plan import Planned, merge, name, repeat, shuffle


def point(arm: str, threshold: int, repeats: int = 1) -> Planned:
    config = Config()
    config.arm = ArmConfig(arm)
    config.xsched.threshold = threshold
    config.sweep.repeats = repeats
    config.task_set.tasks = {"a": TaskConfig()}
    made = Planned([f"arm={arm}"], {"arm": arm, "xsched.threshold": str(threshold)})
    made.config, made.trial = config, resolve(config)
    return made


def test_an_arm_without_xsched_runs_once_for_all_thresholds() -> None:
    points = merge([point(arm, t) for arm in ("native", "xsched") for t in (4, 8)])
    assert [each.values for each in points] == [
        {"arm": "native", "xsched.threshold": None},
        {"arm": "xsched", "xsched.threshold": "4"},
        {"arm": "xsched", "xsched.threshold": "8"},
    ]
    name(points)
    assert [each.name for each in points] == ["native", "xsched-t4", "xsched-t8"]


def test_a_key_that_xsched_does_not_own_makes_another_measurement() -> None:
    one, other = point("native", 8), point("native", 8)
    other.trial = replace(other.trial, seed=7)
    assert len(merge([one, other])) == 2


def test_a_repeat_has_a_schedule_of_its_own_that_its_arms_share() -> None:
    arms = [point(arm, 8, repeats=3) for arm in ("native", "xsched")]
    repeated = repeat(arms)
    seeds = {(each.repeat, each.trial.seed) for each in repeated}
    assert seeds == {(0, 0), (1, 1), (2, 2)}
    name(repeated)
    assert len({each.folder for each in repeated}) == 6
    assert repeated[-1].name == "xsched-t8-r2"
    assert repeated[-1].overrides == ["arm=xsched", "repeat=2"]
    assert arms[0].overrides == ["arm=native"], "the original is left as it was"


def test_without_repeats_a_point_keeps_its_name() -> None:
    only = point("native", 8)
    (same,) = repeat([only])
    assert same is only


def test_shuffling_keeps_repeats_together_and_follows_the_seed() -> None:
    arms = [point(arm, t, repeats=4) for arm in ("native", "xsched") for t in (4, 8, 16, 32)]
    for number, each in enumerate(arms):
        each.name = str(number)
    repeated = repeat(arms)
    order = shuffle(repeated, seed=1)
    assert [each.repeat for each in order] == [n for n in range(4) for _ in arms]
    assert Counter(map(id, order)) == Counter(map(id, repeated))
    assert [each.name for each in order] != [each.name for each in repeated]
    assert [each.name for each in shuffle(repeated, 1)] == [each.name for each in order]
    assert [each.name for each in shuffle(repeated, 2)] != [each.name for each in order]


def test_the_hash_forgets_what_cannot_change_a_measurement() -> None:
    native, other = point("native", 4), point("native", 8)
    assert native.trial.config_hash == other.trial.config_hash
    assert point("xsched", 4).trial.config_hash != point("xsched", 8).trial.config_hash
    spelled = copy.deepcopy(native.config)
    spelled.output_root, spelled.tracking.backend = "elsewhere", "none"
    assert resolve(spelled).config_hash == native.trial.config_hash
