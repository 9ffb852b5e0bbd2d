"""What is said before a sweep whose input is allowed and may not be meant."""

from dataclasses import replace

import pytest

from runner.config.arms import Arm
from runner.config.resolve import resolve
from runner.config.schema import ArrivalOverride, Config, TaskConfig
from runner.sweep.caveats import caveats
from runner.sweep.plan import Planned, plan
from tests.conftest import Run
from tests.runner.sweep.composed import compose

OWN = TaskConfig(arrival=ArrivalOverride(process="jitter", load=0.2))
CLOSED = TaskConfig(arrival=ArrivalOverride(process="closed"))
OPEN = TaskConfig()


def point(
    *tasks: TaskConfig, asked: str = "", process: str = "poisson", load: float = 0.15
) -> Planned:
    made = Planned([asked] if asked else [], {})
    made.config = Config()
    made.config.task_set.name = "made"
    made.config.task_set.tasks = dict(zip("abc", tasks, strict=False))
    made.config.arrival.process, made.config.arrival.load = process, load
    made.trial = resolve(made.config)
    return made


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [
        ("arrival=poisson", [OWN, CLOSED]),
        ("+arrival=poisson", [OWN, CLOSED]),
        ("arrival.process=poisson", [OWN]),
        ("arrival.load=0.5", [OWN, CLOSED]),
        ("arrival.rate_rps=null", [OWN, CLOSED]),
        ("arrival.cv=3", [OWN, OPEN]),
    ],
)
def test_arrivals_that_no_task_takes_are_named(asked: str, tasks: list[TaskConfig]) -> None:
    (line,) = caveats([point(*tasks, asked=asked), point(*tasks, asked=asked)])
    key = asked.partition("=")[0].lstrip("+")
    assert line.startswith(f"{key} has no effect, no task of made takes it (a: jitter")


def test_the_remedy_is_the_key_that_stands_in_the_way() -> None:
    (line,) = caveats([point(OWN, CLOSED, asked="arrival=poisson")])
    assert "(a: jitter, b: closed)" in line
    assert line.endswith("task_set.tasks.<name>.arrival.process=null lets a task take it")
    (line,) = caveats([point(OWN, CLOSED, asked="arrival.load=0.5")])
    assert line.endswith("task_set.tasks.<name>.arrival.load=null lets a task take it")
    (line,) = caveats([point(OPEN, asked="arrival.cv=3")])
    assert line.endswith("(a: poisson)"), "nobody is in the way: poisson has no such parameter"


@pytest.mark.parametrize(
    "made",
    [
        point(OWN, CLOSED),
        point(OWN, CLOSED, asked="task_set=made"),
        point(OWN, OPEN, asked="arrival=poisson"),
        point(OPEN, asked="arrival.load=0.5"),
        point(OPEN, asked="arrival.cv=3", process="gamma"),
    ],
)
def test_what_is_taken_or_was_not_asked_for_is_not(made: Planned) -> None:
    assert caveats([made]) == []


def test_a_load_above_1_is_said_with_what_ends_the_run() -> None:
    flooded = point(OPEN, OWN, load=1.5)
    (line,) = caveats([flooded])
    assert line.startswith("a has load 1.5: above 1 its queue grows without bound")
    assert line.endswith("the window ends after limit_s=900 at the latest")
    flooded.config.task_set.duration_s = 7.0
    flooded.trial = resolve(flooded.config)
    (line,) = caveats([flooded])
    assert line.endswith("the window ends after task_set.duration_s=7 at the latest")


def test_it_stands_above_the_sweep(run_forked: Run) -> None:
    done = run_forked(
        "task_set=smoke", "arrival=poisson", "task_set.tasks.urgent.arrival.load=2", "dry_run=true"
    )
    assert done.returncode == 0, done.stderr
    unheard, flood, *_ = done.stdout.splitlines()
    assert unheard.startswith("warning: arrival has no effect, no task of smoke takes it (urgent: ")
    assert flood.startswith("warning: urgent has load 2: ")


def placed(*places: tuple[str, str], swept: bool = False) -> list[Planned]:
    points = []
    for arm, place in places:
        made = point(CLOSED)
        made.values = {"platform.placement": place} if swept else {}
        made.trial = replace(made.trial, arm=Arm(arm), placement=place)
        points.append(made)
    return points


def test_arms_that_no_placement_suits_are_named() -> None:
    apart = placed(("stream_priority", "threads"), ("xsched", "processes"), ("native", "threads"))
    (line,) = caveats(apart)
    assert "(native, stream_priority in threads; xsched in processes)" in line
    assert caveats(placed(("native", "threads"), ("xsched", "threads"))) == []
    asked = placed(("native", "threads"), ("native", "processes"), swept=True)
    assert caveats(asked) == [], "that was asked for"


# --- settings of every group ---------------------------------------------------------------------

HERE = ("platform=host", "tracking=none")


def said(*arguments: str) -> list[str]:
    return caveats(plan([*HERE, *arguments], compose).points)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("task_set=smoke", "arm=native", "xsched.threshold=4"),
            "xsched.threshold has no effect, no arm here uses XSched (native)",
        ),
        (
            ("task_set=smoke", "model.size=32"),
            "model.size has no effect, no task of smoke takes it (urgent: synthetic, background: "
            "synthetic); task_set.tasks.<name>.model.size=null lets a task take it",
        ),
        (
            ("task_set=smoke", "model.pretrained=/nowhere"),
            "model.pretrained has no effect, no task of smoke takes it (urgent: synthetic, "
            "background: synthetic); task_set.tasks.<name>.model.name=null lets a task take it",
        ),
        (
            ("task_set=two_bert", "xsched.k=2"),
            "xsched.k has no effect, it is for xsched.policy=kedf",
        ),
        (
            ("task_set=two_bert", "platform=host", "model.graphs=13"),
            "model.graphs has no effect, it is for platform.name=cuda or hip",
        ),
        (
            ("task_set=two_bert", "platform.server=somewhere:1"),
            "platform.server has no effect, it is for platform.name=cuda or hip",
        ),
        (
            ("task_set=two_bert", "task_set.tasks.first.arrival.cv=3"),
            "task_set.tasks.first.arrival.cv has no effect, no task of two_bert takes it (first, "
            "second)",
        ),
    ],
)
def test_a_setting_without_effect_is_named_whatever_its_group(
    arguments: tuple[str, ...], line: str
) -> None:
    assert said(*arguments) == [line]


@pytest.mark.parametrize(
    "arguments",
    [
        ("task_set=smoke", "arm=native,xsched", "xsched.threshold=4"),
        ("task_set=two_bert", "model=bert_mini", "model.size=32", "xsched.level=interrupt"),
        ("task_set=two_bert", "task_set.requests=5", "seed=3"),
        ("task_set=two_bert", "task_set.duration_s=3"),
        ("task_set=two_bert", "xsched.threshold=8", "xsched.probes=3", "platform.device_cores=1"),
    ],
)
def test_one_that_some_run_takes_is_not(arguments: tuple[str, ...]) -> None:
    assert said(*arguments) == []


# --- who waits for ever --------------------------------------------------------------------------


def test_a_closed_loop_above_others_starves_them_where_the_highest_priority_runs_alone() -> None:
    two = ("task_set=two_bert", "task_set.tasks.first.arrival.process=closed")
    (line,) = said(*two)
    assert line.startswith("first is a closed loop above second: under hpf they run only between ")
    assert "ends after limit_s=900 at the latest" in line
    assert said(*two, "arm=native") == []
    assert said(*two, "xsched=up") == [], "everybody has a turn"


def test_loads_that_add_up_to_more_than_the_device_are_said() -> None:
    flooded = [point(OPEN, OWN, load=0.9)]
    for each in flooded:
        each.config.platform.name = "host"
        each.trial = resolve(each.config)
    (line,) = caveats(flooded)
    assert line.startswith("loads add up to 1.1 (a 0.9 + b 0.2), and the device has 1: ")
    alone = point(OPEN, OWN, load=0.9)
    alone.trial = replace(alone.trial, arm=Arm.solo)
    assert caveats([alone]) == [], "they never run side by side"


@pytest.mark.parametrize("key", ["task_set.requests", "task_set.tasks.urgent.requests"])
def test_requests_beside_a_duration_are_said_to_count_for_nothing(key: str) -> None:
    asked = ("task_set=smoke", f"{key}=50")
    assert said(*asked) == []
    (line,) = said(*asked, "task_set.duration_s=5")
    assert line.startswith(f"{key} has no effect, task_set.duration_s ends the window")
    assert said("task_set=smoke", "task_set.duration_s=5") == [], "nobody asked for requests"
