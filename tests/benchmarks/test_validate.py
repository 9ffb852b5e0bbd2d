"""`make validate` without its runs: what is planted, drawn, counted and written."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import validate
from benchmarks.slower import again, more
from runner.config.errors import UserError
from runner.results.comparison import NO_DIFFERENCE, WORSE
from runner.runs.files import write_json
from runner.runs.load import load
from runner.runs.record import RunRecord
from tests.runner.run_folders import MadeTask, write_run, write_sweep

COMMANDS = 126
FACTS = {
    "date": "2026-01-01",
    "minutes": 20.0,
    "command": "python -m benchmarks.slower",
    "commit": "0123456",
    "changed": False,
    "environment": {
        "cpu": "a processor",
        "cores": 2,
        "memory_gib": 8,
        "python": "3.11",
        "libraries": {"torch": "2"},
    },
}


def made_sweep(place: Path, repeats: int, slowdown: float = 1.1, extra: int = 13) -> Path:
    """Four runs a repeat; repeats differ by 10 % in speed and runs of one repeat by 2 %."""
    chance = np.random.default_rng(3)
    folder, entries = place / "two_bert-1", []
    for repeat in range(repeats):
        speed = chance.lognormal(0, 0.1)
        for seed in ("0", "1"):
            for twin in ("600", "601"):
                run = write_run(
                    folder / f"seed={seed}-{twin}-r{repeat}",
                    "xsched",
                    {
                        "first": MadeTask(
                            _latencies(chance, speed, slowdown if seed == "1" else 1), 1
                        )
                    },
                )
                executed = COMMANDS + (extra if seed == "1" else 0)
                evidence = {"requests": [{"task": "first", "executed": executed}]}
                checks = [{"name": "level"}, {"name": "intercepted", "evidence": evidence}]
                write_json(run / "proof.json", {"checks": checks})
                values = {"model.seed": seed, "limit_s": twin}
                entries.append({"folder": run.name, "repeat": repeat, "values": values})
    return write_sweep(folder, entries)


def _latencies(
    chance: np.random.Generator, speed: float, slowdown: float
) -> np.typing.NDArray[np.float64]:
    return 12 * speed * slowdown * chance.lognormal(0, 0.02) * chance.lognormal(0, 0.1, 100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    return load([made_sweep(tmp_path_factory.mktemp("runs"), repeats=12)])


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


def test_slower_runs_are_seen_to_run_more_commands(runs: list[RunRecord]) -> None:
    assert validate.planted(validate.pool_of(runs)) == (126, 139)


@pytest.mark.parametrize("extra", [0, 12])
def test_nothing_planted_is_an_error(tmp_path: Path, extra: int) -> None:
    pool = validate.pool_of(load([made_sweep(tmp_path, repeats=5, extra=extra)]))
    with pytest.raises(UserError, match="planted"):
        validate.planted(pool)


# ------------------------------------------------------------------------------- drawing


def test_a_repeat_that_lacks_a_run_is_left_out(runs: list[RunRecord]) -> None:
    pool = validate.pool_of(runs[1:])
    assert len(pool) == 11
    assert all(run.repeat > 0 for repeat in pool for run in (*repeat.plain, *repeat.slower))


def test_pairs_come_from_different_repeats(
    runs: list[RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def compared(pairs: Sequence[Sequence[RunRecord]], primary: str) -> SimpleNamespace:
        drawn.append(pairs)
        return SimpleNamespace(verdict=NO_DIFFERENCE)

    monkeypatch.setattr(validate, "compared", compared)
    found = validate.verdicts(validate.pool_of(runs), [validate.same], validate.P99)
    assert len(drawn) == found[NO_DIFFERENCE] == 200
    for pairs in drawn:
        assert len({one.repeat for one, _ in pairs}) == len(pairs) == 5
        assert all(one.repeat == other.repeat and one is not other for one, other in pairs)
        assert {run.values["model.seed"] for pair in pairs for run in pair} == {"0"}


# ------------------------------------------------------------------------------ judging


def test_verdicts_over_runs_of_known_difference(
    runs: list[RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validate, "COMPARISONS", 40)
    pool = validate.pool_of(runs)
    found = validate.verdicts(pool, [validate.against_slower], validate.P50)
    alarms = validate.verdicts(pool, [validate.same, validate.same_slower], validate.P50)
    assert found.total() == alarms.total() == 40
    assert found[WORSE] > 35
    assert alarms[NO_DIFFERENCE] > 30


def test_runs_are_kept_and_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "COMPARISONS", 10)
    data = tmp_path / "docs" / "results" / "validation"
    data.mkdir(parents=True)
    validate.keep(made_sweep(tmp_path / "made", repeats=6), data / validate.RUNS)
    write_json(data / validate.FACTS, FACTS)
    kept = load([data / validate.RUNS])
    assert len(kept) == 24
    assert not any(
        str(tmp_path) in path.read_text() for run in kept for path in run.folder.glob("*.json")
    )
    validate.write(tmp_path / "docs")
    page = (tmp_path / "docs" / validate.PAGE).read_text()
    assert "| A/A, 10 comparisons of 5 repeats" in page
    assert "24 of bert_mini on host" in page
