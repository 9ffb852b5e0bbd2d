import dataclasses
import math
import zlib
from collections.abc import Mapping
from itertools import islice, pairwise, takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from runner.config.arrivals import PROCESSES, schedule, times_ns
from runner.config.arrivals.base import BLOCK, LONGEST_NS
from runner.config.arrivals.trace import read_trace, replay
from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import ArrivalConfig, Config, TaskConfig
from runner.config.spec import Arrival, TaskSpec

gaps = st.floats(1e4, 1e10)
seeds = st.integers(0, 2**31 - 1)
OPEN = [name for name, process in PROCESSES.items() if not process.no_rate]
Parameters = Mapping[str, st.SearchStrategy[float]]


def any_of(parameters: Parameters) -> st.SearchStrategy[Arrival]:
    """Every process that has a rate. What it takes is drawn from `parameters`, else the schema's
    default."""

    def taken(name: str) -> Parameters:
        takes = PROCESSES[name].takes
        return {key: parameters.get(key, st.just(getattr(DEFAULT, key))) for key in takes}

    return st.one_of(st.builds(Arrival, st.just(name), **taken(name)) for name in OPEN)


DEFAULT = ArrivalConfig()
drawn = any_of(
    {"sigma": st.floats(0.001, 4), "cv": st.floats(0.01, 10), "burst_size": st.integers(1, 10_000)}
)
#: Those whose mean a few blocks show.
steady = any_of(
    {"sigma": st.floats(0, 1), "cv": st.floats(0.01, 2), "burst_size": st.integers(1, 100)}
)


def task(arrival: Arrival, name: str = "task") -> TaskSpec:
    config = Config()
    config.task_set.tasks = {name: TaskConfig()}
    (made,) = resolve(config).tasks
    return dataclasses.replace(made, arrival=arrival)


def times(
    arrival: Arrival, mean: float, seed: int = 0, name: str = "task", count: int = 3 * BLOCK
) -> NDArray[np.int64]:
    """The first arrivals of a task with this mean gap in nanoseconds."""
    paced = dataclasses.replace(arrival, rate_rps=1e9 / mean)
    arrivals = schedule(task(paced, name), math.nan, seed)
    assert arrivals is not None
    return np.array(list(islice(arrivals, count)))


@given(drawn, gaps, seeds)
def test_a_schedule_never_goes_back(arrival: Arrival, mean: float, seed: int) -> None:
    found = times(arrival, mean, seed)
    assert found[0] >= 0
    assert (np.diff(found) >= 0).all()


@given(drawn, st.floats(1e8, 1e10), seeds)
def test_a_seed_gives_one_schedule_and_tasks_differ(
    arrival: Arrival, mean: float, seed: int
) -> None:
    first = times(arrival, mean, seed, "a")
    assert (first == times(arrival, mean, seed, "a")).all()
    assert (first != times(arrival, mean, seed, "b")).any()
    assert (first != times(arrival, mean, seed + 1, "a")).any()


@settings(max_examples=30)
@given(steady, gaps, seeds)
def test_the_mean_rate_is_kept(arrival: Arrival, mean: float, seed: int) -> None:
    count = 20 * BLOCK
    assert times(arrival, mean, seed, count=count)[-1] / count == pytest.approx(mean, rel=0.05)


@given(gaps, seeds)
def test_jitter_is_between_half_and_one_and_a_half(mean: float, seed: int) -> None:
    steps = np.diff(times(Arrival("jitter"), mean, seed), prepend=0)
    assert (steps >= mean / 2 - 1).all()
    assert (steps <= 1.5 * mean + 1).all()


@given(gaps, seeds)
def test_jitter_is_what_it_was_when_the_first_experiments_were_recorded(
    mean: float, seed: int
) -> None:
    random = np.random.default_rng([seed, zlib.crc32(b"high-1")])
    steps = random.uniform(0.5, 1.5, 4096) * mean
    block = np.maximum(steps, 1).cumsum().astype(np.int64)
    expected = np.concatenate([block, block[-1] + block, 2 * block[-1] + block])
    assert np.abs(times(Arrival("jitter"), mean, seed, "high-1") - expected).max() <= 3


def test_jitter_by_number() -> None:
    """The schedule of six_bert's first task at its default seed, from before there were others."""
    assert times(Arrival("jitter"), 1e9, 0, "high-1", 4).tolist() == [
        1233413149,
        2651514797,
        3918737890,
        5102085021,
    ]


@pytest.mark.parametrize(
    ("arrival", "first", "last"),
    [
        (Arrival("periodic"), [90440822, 190440822], 999990440822),
        (Arrival("burst", burst_size=3), [271322466, 271322466], 1000171322466),
        (Arrival("jitter"), [140440822, 216307324], 995442853286),
        (Arrival("poisson"), [398417840, 433664478], 999965344592),
        (Arrival("lognormal", sigma=1.0), [42399731, 98884201], 996743927926),
        (Arrival("gamma", cv=2.0), [384771997, 404392700], 969280590083),
    ],
    ids=lambda value: value.process if isinstance(value, Arrival) else "",
)
def test_schedules_are_what_they_were_when_experiments_were_recorded(
    arrival: Arrival, first: list[int], last: int
) -> None:
    """The first two arrivals and the 10 000th, ten a second, seed 42."""
    found = times(arrival, 1e8, 42, "urgent", 10_000).tolist()
    assert (found[:2], found[-1]) == (first, last)


def test_the_load_is_a_share_of_the_solo_capacity() -> None:
    by_load = schedule(task(Arrival("poisson", load=0.25)), 0.01, 7)
    by_rate = schedule(task(Arrival("poisson", rate_rps=25.0)), math.nan, 7)
    assert by_load is not None
    assert by_rate is not None
    assert list(islice(by_load, 100)) == list(islice(by_rate, 100))


def test_a_closed_loop_has_no_schedule() -> None:
    assert schedule(task(Arrival("closed")), 0.01, 0) is None


@given(st.integers(1, 50), seeds)
def test_a_burst_arrives_at_once_and_periodically(size: int, seed: int) -> None:
    found = times(Arrival("burst", burst_size=size), 1e6, seed, count=size * 20)
    by_burst = found.reshape(20, size)
    assert (by_burst == by_burst[:, :1]).all()
    assert 0 <= found[0] < size * 1e6
    assert np.diff(by_burst[:, 0]) == pytest.approx(size * 1e6, abs=1)


@pytest.mark.parametrize("cv", [0.1, 0.5, 1.0, 2.0])
def test_gamma_gaps_have_their_coefficient_of_variation(cv: float) -> None:
    steps = np.diff(times(Arrival("gamma", cv=cv), 1e8, count=50 * BLOCK))
    assert steps.std() / steps.mean() == pytest.approx(cv, rel=0.05)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 2.0])
def test_lognormal_gaps_have_their_sigma_around_the_mean_that_was_asked(sigma: float) -> None:
    logs = np.log(np.diff(times(Arrival("lognormal", sigma=sigma), 1e10, count=20 * BLOCK)))
    assert logs.std() == pytest.approx(sigma, rel=0.02)
    assert logs.mean() == pytest.approx(math.log(1e10) - sigma**2 / 2, abs=0.05)


def test_poisson_gaps_are_exponential() -> None:
    steps = np.diff(times(Arrival("poisson"), 1e8, count=20 * BLOCK)) / 1e8
    assert [(steps > t).mean() for t in (0.5, 1, 2)] == pytest.approx(
        [math.exp(-t) for t in (0.5, 1, 2)], abs=0.01
    )


def test_the_longest_gaps_are_beyond_any_window_and_no_longer() -> None:
    found = times(Arrival("lognormal", sigma=4.0), 1e12, count=5 * BLOCK)
    assert np.diff(found).max() == pytest.approx(LONGEST_NS, abs=100)


def write(tmp_path: Path, text: str) -> str:
    (tmp_path / "trace.txt").write_text(text)
    return str(tmp_path / "trace.txt")


@given(st.lists(st.integers(0, LONGEST_NS), min_size=1, max_size=50).map(sorted))
def test_a_trace_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[int]
) -> None:
    file = write(tmp_path_factory.mktemp("t"), "".join(f"{t / 1e9:.9f}\n" for t in wanted))
    trace = read_trace(file, "arrival.trace")
    assert times_ns(trace).tolist() == wanted
    assert list(takewhile(lambda at: at < LONGEST_NS, replay(trace))) == [
        at for at in wanted if at < LONGEST_NS
    ]


def test_comments_empty_lines_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    file = write(tmp_path, "# seconds\r\n0\r\n\n  0.5  \n# more\n1e0\n0.1e1")
    assert times_ns(read_trace(file, "x")).tolist() == [0, 5 * 10**8, 10**9, 10**9]


def test_after_a_trace_nothing_arrives() -> None:
    arrivals = replay(np.array([1, 2]).tobytes())
    assert list(islice(arrivals, 4)) == [1, 2, LONGEST_NS, LONGEST_NS]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.1\nsoon\n", "line 2 is no timestamp: soon"),
        ("# a comment\n\n-1\n", "line 3 is no timestamp: -1"),
        ("nan\n", "line 1 is no timestamp"),
        ("0.1\ninf\n", "line 2 is no timestamp"),
        ("0.1 0.2\n", "line 1 is no timestamp"),
        ("0.1\n0.3\n0.2\n", "line 3 goes back in time: 0.2 s after 0.3 s"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_trace(file, "arrival.trace")
    assert f"arrival.trace={file}: {says}" in str(error.value)
    assert "allowed: " in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: cannot be read: No such file"):
        read_trace(str(tmp_path / "nothing"), "arrival.trace")
    for other in ("/dev/zero", str(tmp_path)):
        with pytest.raises(UserError, match="is no file with text in it"):
            read_trace(other, "arrival.trace")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no text file in UTF-8"):
        read_trace(str(tmp_path / "bytes"), "arrival.trace")


def test_bursts_do_not_drift() -> None:
    found = times(Arrival("periodic"), 1e9 / 3, count=30_000)
    steps = [b - a for a, b in pairwise(found.tolist())]
    assert found[-1] - found[0] == pytest.approx(29_999 * 1e9 / 3, abs=2)
    assert set(steps) <= {333_333_333, 333_333_334}
