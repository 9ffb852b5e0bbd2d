"""`make validate` without its runs: what is planted, drawn, counted and written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import validate
from benchmarks.slower import again, more
from runner.config.errors import UserError
from runner.proof.checks import Check, Interception, Proof, check_interception
from runner.results.judging import NO_DIFFERENCE, WORSE
from runner.runs import files
from runner.runs.load import load
from runner.runs.record import Environment
from runner.runs.run import Run
from runner.runs.sweep import Sweep
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, seal, write_run, write_sweep

COMMANDS = 126
FACTS = validate.Facts(
    date="2026-01-01",
    minutes=20.0,
    command="python -m benchmarks.slower",
    commit="0123456",
    changed=False,
    environment=Environment(
        cpu="a processor", cores=2, memory_gib=8.0, python="3.11", libraries={"torch": "2"}
    ),
)


def made_sweep(
    place: Path,
    repeats: int,
    slowdown: float = 1.1,
    extra: int = 13,
    second: float = 1.0,
    by_time: bool = False,
) -> Path:
    """Four runs a repeat; repeats differ by 10 % in speed and runs of one repeat by 2 %. The order
    of twins alternates. second: how much slower the second twin is, or with by_time the one that
    runs second."""
    chance = np.random.default_rng(3)
    folder, entries = place / "two_bert-1", []
    for repeat in range(repeats):
        speed = chance.lognormal(0, 0.1)
        for seed in ("0", "1"):
            twins = ("600", "601")[:: -1 if repeat % 2 else 1]
            for twin in twins:
                later = twin == (twins[1] if by_time else "601")
                times = speed * (slowdown if seed == "1" else 1) * (second if later else 1)
                run = write_run(
                    folder / f"seed={seed}-{twin}-r{repeat}",
                    "xsched",
                    {"first": MadeTask(_latencies(chance, times), 1)},
                    pace_us=200 * speed * chance.lognormal(0, 0.02),
                )
                executed = COMMANDS + (extra if seed == "1" else 0)
                seen = check_interception([Interception("first", executed, executed)])
                files.write_json(run / files.PROOF, Proof((Check("level", True, "fine"), seen)))
                seal(run)
                values = {"model.seed": seed, "limit_s": twin}
                entries.append({"folder": run.name, "repeat": repeat, "values": values})
    return write_sweep(folder, entries)


def _latencies(chance: np.random.Generator, times: float) -> np.typing.NDArray[np.float64]:
    return 12 * times * chance.lognormal(0, 0.02) * chance.lognormal(0, 0.1, 100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return load(made_sweep(tmp_path_factory.mktemp("runs"), repeats=12))


# ------------------------------------------------------------------------------ planting


@given(st.integers(1, 300), st.integers(1, 40))
def test_every_command_is_repeated_at_the_same_rate(commands: int, requests: int) -> None:
    ran: list[int] = []
    added = again([lambda number=number: ran.append(number) for number in range(commands)])
    for _ in range(requests):
        for command in added:
            command()
    assert len(added) == more(commands) >= 1
    assert abs(more(commands) - commands / 10) <= max(0.5, 1 - commands / 10)
    assert ran == [number % commands for number in range(requests * more(commands))]


def test_slower_runs_are_seen_to_run_more_commands(runs: Sweep) -> None:
    assert validate.planted(validate.pool_of(runs)) == (126, 139)


@pytest.mark.parametrize("extra", [0, 12])
def test_nothing_planted_is_an_error(tmp_path: Path, extra: int) -> None:
    pool = validate.pool_of(load(made_sweep(tmp_path, repeats=5, extra=extra)))
    with pytest.raises(UserError, match="planted"):
        validate.planted(pool)


# ------------------------------------------------------------------------------- drawing


def test_a_repeat_that_lacks_a_run_is_left_out(runs: Sweep) -> None:
    pool = validate.pool_of(runs.runs[1:])
    assert len(pool) == 11
    assert all(run.repeat > 0 for repeat in pool for run in (*repeat.plain, *repeat.slower))


@pytest.mark.parametrize("changes", [{"valid": False}, {"status": Status.KILLED}])
def test_a_run_without_a_valid_result_leaves_its_repeat_out(
    runs: Sweep, changes: dict[str, Any]
) -> None:
    first, *others = runs
    bad = replace(first, summary=replace(first.summary, **changes))
    pool = validate.pool_of([bad, *others])
    assert len(pool) == 11
    assert all(run.repeat > 0 for repeat in pool for run in (*repeat.plain, *repeat.slower))


def test_no_repeat_is_in_two_comparisons(runs: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def compared(pairs: Sequence[Sequence[Run]], primary: str) -> SimpleNamespace:
        drawn.append(pairs)
        return SimpleNamespace(verdict=NO_DIFFERENCE)

    monkeypatch.setattr(validate, "compared", compared)
    found = validate.verdicts(validate.pool_of(runs), validate.by_label, validate.P90)
    assert found == [NO_DIFFERENCE] * 4, "two of each five of twelve repeats"
    taken = [run.name for pairs in drawn for pair in pairs for run in pair]
    assert len(taken) == len(set(taken)) == 4 * 5 * 2
    for pairs in drawn:
        assert all(one.repeat == other.repeat for one, other in pairs)
        assert [(one.values["limit_s"], other.values["limit_s"]) for one, other in pairs] == [
            ("600", "601")
        ] * 5


# ------------------------------------------------------------------------------ judging


def test_what_is_slower_is_found(runs: Sweep) -> None:
    found = validate.verdicts(validate.pool_of(runs), validate.against_slower, validate.P50)
    assert found == [WORSE] * 4


def test_what_is_the_same_is_not(runs: Sweep) -> None:
    for pairs in (validate.by_label, validate.by_position):
        assert WORSE not in validate.verdicts(validate.pool_of(runs), pairs, validate.P50)


@pytest.mark.parametrize(("by_time", "pairs"), [(False, "by_label"), (True, "by_position")])
def test_a_twin_that_is_slower_and_a_place_that_costs_are_false_alarms(
    tmp_path: Path, by_time: bool, pairs: str
) -> None:
    """Fails if the order of each pair is drawn at random, as it was."""
    pool = validate.pool_of(load(made_sweep(tmp_path, repeats=10, second=2.0, by_time=by_time)))
    found = validate.verdicts(pool, getattr(validate, pairs), validate.P50)
    assert found == [WORSE] * 4
    other = {"by_label": validate.by_position, "by_position": validate.by_label}[pairs]
    assert WORSE not in validate.verdicts(pool, other, validate.P50)


def test_the_share_of_alarms_has_an_exact_interval() -> None:
    share = validate.share_of([WORSE] * 3 + [NO_DIFFERENCE] * 57, (WORSE,))
    assert str(share) == "3 of 60 (1.0 to 13.9 %)"


def test_runs_are_kept_and_judged_again(tmp_path: Path) -> None:
    """Of two collections, whose repeats are counted from 0 each, no runs are mixed."""
    data = tmp_path / "docs" / "results" / "validation"
    for number, repeats in (("1", 6), ("2", 4)):
        (data / number).mkdir(parents=True)
        made = made_sweep(tmp_path / f"made-{number}", repeats)
        validate.keep(made, data / number / validate.RUNS)
        files.write_json(data / number / validate.FACTS, replace(FACTS, date=f"2026-01-0{number}"))
        kept = load(data / number / validate.RUNS)
        assert len(kept) == 4 * repeats
        assert not any(
            str(tmp_path) in path.read_text() for run in kept for path in run.folder.glob("*.json")
        )
    validate.write(tmp_path / "docs")
    page = (tmp_path / "docs" / validate.PAGE).read_text()
    assert "| A/A, 5 repeats, by label: false alarms on p50 | 0 of 4 " in page
    assert "40 of bert_mini on host" in page
    machine = "a processor, 2 cores, 8.0 GiB, Python 3.11,\n  torch 2; commit 0123456."
    for date in ("2026-01-01", "2026-01-02"):
        assert f"* {date}, in 20 minutes; {machine}" in page


def test_what_is_kept_of_real_runs_is_still_read() -> None:
    """The commands of the proofs, and the facts of the page."""
    page = (validate.ROOT / "docs" / validate.PAGE).read_text()
    for data in validate.collected(validate.ROOT / "docs" / "results" / "validation"):
        pool = validate.pool_of(load(data / validate.RUNS))
        facts = files.read_json(data / validate.FACTS, validate.Facts)
        assert len(pool) > 140
        assert validate.planted(pool) == (126, 139)
        assert facts.environment.cpu in page
        assert f"* {facts.date}, in {facts.minutes:.0f} minutes;" in page
        assert f"commit {facts.commit}." in page
