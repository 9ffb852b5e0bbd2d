import pytest

from runner.metrics import METRICS
from runner.metrics.measurement import Measurement
from runner.metrics.names import figure_named
from tests.runner.metrics.made import task

TASKS = {"a": task([1.0, 2.0])}


@pytest.mark.parametrize(
    ("tag", "value"), [("preemptions", 7), ("saturation", 0.9), ("stolen", 0), ("pace_us", 210.5)]
)
def test_what_was_counted_is_a_figure_without_an_interval(tag: str, value: float) -> None:
    found = figure_named(tag).of(Measurement(TASKS, **{tag: value}))  # type: ignore[arg-type]
    assert found is not None
    assert (found.value, found.interval) == (value, None)
    assert isinstance(found.value, float)


@pytest.mark.parametrize("tag", ["preemptions", "saturation", "stolen", "pace_us"])
def test_what_nobody_knows_is_no_figure(tag: str) -> None:
    assert figure_named(tag).of(Measurement(TASKS)) is None


def test_of_preemptions_neither_more_nor_fewer_are_better() -> None:
    assert METRICS["preemptions"].higher_is_better is None
    assert METRICS["saturation"].higher_is_better is True
    assert METRICS["stolen"].higher_is_better is False


def test_paces_are_compared_by_their_ratio() -> None:
    assert METRICS["pace_us"].by_ratio
    assert METRICS["pace_us"].higher_is_better is None
