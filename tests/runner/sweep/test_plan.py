"""Merging, repeating and ordering the points of a sweep."""

import copy
import itertools
from collections import Counter
from dataclasses import replace

import pytest
from omegaconf import DictConfig, OmegaConf

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import ArmConfig, Config, SweepConfig, TaskConfig
from runner.sweep.plan import Planned, argument, balance, merge, name, plan, repeat
from tests.runner.sweep.composed import compose


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


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 17])
@pytest.mark.parametrize("repeats", [2, 3, 5, 10])
def test_no_point_comes_before_another_more_often_than_after_it(count: int, repeats: int) -> None:
    """Fails with a random order: native came before the null control in five repeats of five."""
    places = places_of(count, repeats)
    for one, other in itertools.permutations(range(count), 2):
        before = sum(row[one] < row[other] for row in places)
        assert abs(2 * before - repeats) == repeats % 2
    for row, backwards in zip(places[::2], places[1::2], strict=False):
        assert [one + other for one, other in zip(row, backwards, strict=True)] == [
            count - 1
        ] * count


@pytest.mark.parametrize("count", [2, 4, 8, 5])
def test_over_enough_repeats_each_has_every_place_and_follows_every_other(count: int) -> None:
    repeats = count * (1 + count % 2)
    places = places_of(count, repeats)
    for one in range(count):
        held = Counter(row[one] for row in places)
        assert held == dict.fromkeys(range(count), repeats // count)
    follows = Counter(
        (one, other)
        for row in places
        for one, other in itertools.permutations(range(count), 2)
        if row[other] == row[one] + 1
    )
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) == 1


def places_of(count: int, repeats: int) -> list[list[int]]:
    """In each repeat, the place of each point."""
    order = balance(repeat([point("xsched", t + 4, repeats=repeats) for t in range(count)]), 7)
    places = [[0] * count for _ in range(repeats)]
    for at, each in enumerate(order):
        assert each.repeat == at // count, "repeats stay together"
        places[each.repeat][each.config.xsched.threshold - 4] = at % count
    return places


def test_the_order_follows_the_seed() -> None:
    arms = [point(arm, t, repeats=4) for arm in ("native", "xsched") for t in (4, 8, 16, 32)]
    for number, each in enumerate(arms):
        each.name = str(number)
    repeated = repeat(arms)
    order = balance(repeated, seed=1)
    assert Counter(map(id, order)) == Counter(map(id, repeated))
    assert [each.name for each in order] != [each.name for each in repeated]
    assert [each.name for each in balance(repeated, 1)] == [each.name for each in order]
    assert [each.name for each in balance(repeated, 2)] != [each.name for each in order]


def test_the_hash_forgets_what_cannot_change_a_measurement() -> None:
    native, other = point("native", 4), point("native", 8)
    assert native.trial.config_hash == other.trial.config_hash
    assert point("xsched", 4).trial.config_hash != point("xsched", 8).trial.config_hash
    spelled = copy.deepcopy(native.config)
    spelled.output_root, spelled.tracking.backend = "elsewhere", "none"
    assert resolve(spelled).config_hash == native.trial.config_hash


# --- figures that a configuration names ----------------------------------------------------------

SMOKE = ["task_set=smoke", "platform=host"]
CLAIM = "expect=[{what: w, metric: p50_ms/highest, at_most: 1}]"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("sweep.primary=p98_ms", "sweep.primary=p98_ms: there is no figure p98_ms"),
        ("sweep.primary=p99_ms/nobody", "sweep.primary=p99_ms/nobody: the task set has no nobody"),
        (
            CLAIM.replace("p50_ms/highest", "p50_ms/nobody"),
            "expect.0.metric=p50_ms/nobody: the task set has no nobody",
        ),
        (CLAIM.replace(", at_most: 1", ""), "expect.0=w: it has no bound"),
        (CLAIM.replace("what", "of: 'xsched.treshold=4', what"), "xsched.treshold"),
    ],
)
def test_a_figure_that_there_is_not_is_said_before_the_sweep(wrong: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        plan([*SMOKE, wrong], compose)
    assert says in str(error.value)


def test_the_point_that_cannot_have_the_figure_is_named() -> None:
    with pytest.raises(UserError) as error:
        plan(["task_set=smoke,two_bert", "platform=host", "sweep.primary=p99_ms/urgent"], compose)
    assert "the task set has no urgent" in str(error.value)
    assert "in point 2 of 2: {'task_set': 'two_bert'}" in str(error.value)


@pytest.mark.parametrize("primary", ["p99_ms/urgent", "p50_ms/lowest", "stp", "throughput_rps"])
def test_figures_that_there_are_stand_in_nobodys_way(primary: str) -> None:
    (only,) = plan([*SMOKE, f"sweep.primary={primary}", CLAIM], compose).points
    assert only.config.sweep.primary == primary


ARMS = [*SMOKE, "arm=xsched,native", "xsched.threshold=4,8"]


def claim(**keys: str) -> str:
    said = ", ".join(f"{key}: '{value}'" for key, value in keys.items())
    return f"expect=[{{what: w, at_most: 1, {said}}}]"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (claim(to="arm=solo"), "expect.0.to=arm=solo: no run of this sweep has arm=solo"),
        (claim(of="arm=xsched xsched.threshold=5"), "no run of this sweep has all of it"),
        (claim(of="model=gpt2"), "no run of this sweep has model=gpt2"),
        (claim(of="task_set.tasks.nobody.priority=0"), "has task_set.tasks.nobody.priority=0"),
        (claim(proportional_to="seed"), "seed is not swept over"),
        (claim(of="xsched.threshold=4", proportional_to="xsched.threshold"), "is not swept over"),
        (claim(of="arm=xsched", at_least="2"), "expect.0.at_least=2.0: nothing is that and at"),
    ],
)
def test_a_claim_about_runs_that_there_will_not_be_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        plan([*ARMS, wrong], compose)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "right",
    [
        claim(of="arm=native xsched.threshold=8", to="arm=xsched xsched.threshold=4"),
        claim(of="xsched.level=block model=bert_base task_set.tasks.urgent.priority=1"),
        claim(of="arm=xsched", proportional_to="xsched.threshold"),
        claim(of="arm=solo", platform="cuda"),
        claim(metric="p99_ms/urgent"),
    ],
)
def test_a_claim_about_runs_that_there_will_be_is_taken(right: str) -> None:
    assert len(plan([*ARMS, "xsched.batch_size=4", right], compose).points) == 3


def test_values_to_sweep_over_may_be_texts_or_lists() -> None:
    assert argument("arm", "solo,xsched") == "arm=solo,xsched"
    assert argument("arm", ["solo", "xsched"]) == "arm=solo,xsched"
    assert argument("xsched.threshold", [4, 8]) == "xsched.threshold=4,8"
    assert argument("xsched.threshold", 4) == "xsched.threshold=4"
    assert argument("model.pretrained", [None, "a,b"]) == r"model.pretrained=null,a\,b"
    pairs = [{"threshold": 4, "batch_size": 4}, {"threshold": 8, "batch_size": 4}]
    given = "xsched={threshold:4,batch_size:4},{threshold:8,batch_size:4}"
    assert argument("xsched", pairs) == given
    for wrong in ([], {"threshold": "4,8"}, [[4], 8]):
        with pytest.raises(UserError, match=r"hydra\.sweeper\.params\.xsched"):
            argument("xsched", wrong)


def test_a_long_name_is_cut_and_stays_one_of_its_own() -> None:
    points = [point("xsched", t) for t in (4, 8)]
    for each in points:
        each.values["model.pretrained"] = "x" * 300
    name(points)
    assert all(len(each.folder) < 120 for each in points)
    assert points[0].folder != points[1].folder


def test_a_sweep_has_one_set_of_claims() -> None:
    def compose(overrides: list[str]) -> DictConfig:
        config = Config(sweep=SweepConfig(repeats=2 if "model=gpt2" in overrides else 3))
        config.platform.name, config.task_set.tasks = "host", {"a": TaskConfig()}
        return OmegaConf.structured(config)  # type: ignore[no-any-return]

    with pytest.raises(UserError, match=r"sweep of .* is another than that of the first point"):
        plan(["model=gpt2,vit_b_16"], compose)


def test_planning_that_takes_a_while_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*SMOKE, "seed=range(0,4)"]
    plan(arguments, compose)
    assert "planning" not in capsys.readouterr().out
    monkeypatch.setattr("runner.sweep.plan.UNTOLD_S", 0.0)
    monkeypatch.setattr("runner.sweep.plan.PLAIN_EVERY_S", 0.0)
    plan(arguments, compose)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"planning: {number} of 4 points" for number in range(4)]


# --- values that go together, and combinations that cannot be -----------------------------------

PAIRS = "xsched={threshold:4,batch_size:4},{threshold:8,batch_size:4},{threshold:16,batch_size:8}"
CORNERS = ("xsched.threshold=4,8", "xsched.batch_size=4,8")


def test_values_in_braces_go_together_and_are_told_one_by_one() -> None:
    points = plan([*SMOKE, "arm=native,xsched", PAIRS], compose).points
    assert [tuple(each.values.values()) for each in points] == [
        ("native", None, None),
        ("xsched", "4", "4"),
        ("xsched", "8", "4"),
        ("xsched", "16", "8"),
    ]
    assert list(points[0].values) == ["arm", "xsched.threshold", "xsched.batch_size"]
    assert [each.name for each in points[1:]] == ["xsched-t4-b4", "xsched-t8-b4", "xsched-t16-b8"]
    assert [each.trial.tasks[0].batch_size for each in points[1:]] == [4, 4, 8]


def test_an_arm_without_xsched_runs_once_for_all_pairs() -> None:
    """Also where they agree in one of their keys."""
    pairs = "xsched={threshold:4,batch_size:4},{threshold:8,batch_size:4}"
    native, *_ = plan([*SMOKE, "arm=native,xsched", pairs], compose).points
    assert list(native.values.values()) == ["native", None, None]


def test_lists_of_gpus_are_not_swept_over_in_braces_either() -> None:
    with pytest.raises(UserError, match="repeats are spread over one list of GPUs"):
        plan([*SMOKE, "platform={devices:[0]},{devices:[1]}"], compose)


def test_two_spellings_of_a_value_do_not_serve_a_third_one() -> None:
    """Batches of one are the default, and those of eight are not."""
    bert = ("task_set=two_bert", "platform=host")
    said = r"model\.batch_size=null,1: null and 1 are the same measurement"
    with pytest.raises(UserError, match=said):
        plan([*bert, "arm=native,xsched", "model.batch_size=null,1,8"], compose)
    made = plan([*bert, "arm=native", "model.batch_size=null,1"], compose).points
    assert [each.values["model.batch_size"] for each in made] == [None]


def test_values_in_braces_give_the_same_keys() -> None:
    with pytest.raises(UserError, match="its values do not all give the same keys"):
        plan([*SMOKE, "xsched={threshold:4,batch_size:4},{threshold:8}"], compose)


def test_a_combination_that_cannot_be_refuses_the_sweep_or_is_left_out_and_named() -> None:
    with pytest.raises(
        UserError, match=r"must not exceed the threshold \(4\).*\n(.*\n)*  in point 2 of"
    ):
        plan([*SMOKE, *CORNERS], compose)
    made = plan([*SMOKE, *CORNERS, "sweep.skip_invalid=true"], compose)
    assert [each.name for each in made.points] == ["block-t4-b4", "block-t8-b4", "block-t8-b8"]
    (line,) = made.remarks
    assert line.startswith(
        "sweep.skip_invalid leaves out 1 of 4 points: t=4 b=8 (xsched.batch_size"
    )


def test_what_is_wrong_in_all_points_or_was_never_a_combination_is_refused_all_the_same() -> None:
    skip = "sweep.skip_invalid=true"
    with pytest.raises(UserError, match="must not exceed"):
        plan([*SMOKE, "xsched.threshold=2,4", "xsched.batch_size=8", skip], compose)
    with pytest.raises(UserError, match="there is no figure p98_ms"):
        plan([*SMOKE, *CORNERS, skip, "sweep.primary=p98_ms"], compose)


# --- other machines ------------------------------------------------------------------------------

CUDA = ("task_set=two_bert", "platform=cuda", "tracking=none")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.platforms.gpu.vendors import VENDORS

    for key, vendor in VENDORS.items():
        monkeypatch.setitem(VENDORS, key, replace(vendor, device_node="/dev/no_such_gpu"))


@pytest.mark.usefixtures("no_gpu")
def test_a_machine_without_the_device_plans_for_others() -> None:
    with pytest.raises(UserError, match="no NVIDIA GPU here"):
        plan([*CUDA], compose)
    planned = plan([*CUDA, "arm=native,xsched", "xsched.level=interrupt"], compose, elsewhere=True)
    assert [each.trial.placement for each in planned.points] == ["auto", "auto"]
    assert [each.config.platform.name for each in planned.points] == ["cuda", "cuda"]
    assert not planned.remarks


@pytest.mark.usefixtures("no_gpu")
def test_what_auto_came_to_is_said_where_it_holds_for_other_machines() -> None:
    here = plan(["task_set=smoke", "tracking=none"], compose)
    assert not here.remarks
    elsewhere = plan(["task_set=smoke", "tracking=none"], compose, elsewhere=True)
    assert elsewhere.remarks == ["platform=auto is host, on every machine"]


@pytest.mark.usefixtures("no_gpu")
def test_gpus_that_are_swept_over_are_several_trials() -> None:
    swept = [*CUDA, "arm=native,xsched", "platform.device=0,1"]
    points = plan(swept, compose, elsewhere=True).points
    assert [each.values for each in points] == [
        {"arm": arm, "platform.device": device}
        for arm in ("native", "xsched")
        for device in ("0", "1")
    ]
    spread = plan([*CUDA, "arm=native,xsched", "platform.devices=[0,1]"], compose, elsewhere=True)
    assert len(spread.points) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("platform.devices=0,1", r"one list of GPUs\n  platform.devices=\[0,1\]"),
        ("platform.devices=[0],[1]", r"one list of GPUs\n  platform.devices=\[0,1\]"),
        ("platform.devices=[[0]]", "no GPU is called that"),
        ("platform.devices=[0,0]", "this GPU is there twice"),
        ("platform.devices=[0,all]", "no GPU is called that"),
        ("platform.devices=first", "no GPU is called that"),
    ],
)
def test_gpus_that_cannot_be(given: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan([*CUDA, given], compose, elsewhere=True)
