"""``python -m benchmarks.validate``: whether the verdicts of `runner.compare` hold on real runs;
adds runs to those that are kept, judges them all and writes docs/validation.md; ``--again`` judges
without new runs.

A sweep repeats four runs: two that are the same, and the same two with 10 % more commands a request
(`benchmarks.slower`). Every five repeats, none of them twice, are compared by the code behind
`runner.compare`: two runs that are the same (A/A), by their labels and by which of them ran first,
and each with a slower one.
"""

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median

import numpy as np

from benchmarks import published
from benchmarks.report import Figure, report, table
from benchmarks.slower import PLAIN, SLOWER, more
from runner.commands.command import end_well
from runner.config.errors import UserError
from runner.metrics.intervals import Interval, exact_share, t_interval
from runner.results import comparison
from runner.results.judging import BETTER, WORSE, pace_of
from runner.runs import archive, files, provenance
from runner.runs.load import load
from runner.runs.record import Environment
from runner.runs.run import Run
from runner.trial.status import Status

ROOT = Path(__file__).parents[1]
POOL = 150
REPEATS = 5
#: Lengths of a window and of its lead-in.
SECONDS, LEAD_IN_S = 1.5, 0.3
#: False alarms: that of a test at 5 %, and how far up its interval may reach.
ALARM, MOST_ALARMS, FOUND = 0.05, 0.15, 0.8
P90, P50, PACE = "p90_ms/priority_1", "p50_ms/priority_1", "pace_us"
PAIR = ("one", "other")

MARK, TWIN = "model.seed", "limit_s"
#: A rate, as a load would be that of each model's own solo time. The limit does not matter to a
#: window of given length, so it makes two points of a sweep of what is the same measurement.
SETTINGS = (
    "task_set=two_bert",
    "model=bert_mini",
    "arm=xsched",
    "platform=host",
    "tracking=none",
    f"task_set.duration_s={SECONDS}",
    f"task_set.lead_in_s={LEAD_IN_S}",
    "task_set.tasks.first.arrival.load=null",
    "task_set.tasks.first.arrival.rate_rps=25",
    "sweep.resume=false",
    "-m",
    f"{MARK}={PLAIN},{SLOWER}",
    f"{TWIN}=600,601",
)
#: What of a run's folder a comparison and the count of commands need.
KEPT = (files.SUMMARY, files.CONFIG, files.PROOF, files.REQUESTS)
PAGE, RUNS, FACTS = "validation.md", "runs.zip", "facts.json"


# ------------------------------------------------------------------------------- the runs


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a reader must know of the runs. changed: whether the code differed from the commit."""

    date: str
    minutes: float
    command: str
    commit: str
    changed: bool
    environment: Environment


def collect(repeats: int, data: Path) -> None:
    """Run the sweep; keep its runs and what a reader must know of them, in a folder of its own
    below `data`."""
    folder = data / str(len(collected(data)) + 1)
    command = ["benchmarks.slower", f"sweep.repeats={repeats}", *SETTINGS]
    code, start = provenance.code(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="xsched-validate-") as place:
        whole = [sys.executable, "-m", *command, f"output_root={place}"]
        ended = subprocess.run(whole, cwd=ROOT).returncode
        if ended not in (0, 1):  # 1: a run failed, and the others count
            raise UserError("", "", f"the sweep ended with exit code {ended}")
        (sweep,) = (path.parent for path in Path(place).glob(f"*/{files.SWEEP}"))
        folder.mkdir(parents=True, exist_ok=True)
        keep(sweep, folder / RUNS)
    facts = Facts(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        command=" ".join(["python", "-m", *command]),
        commit=code.commit[:7],
        changed=bool(code.diff),
        environment=provenance.environment(),
        minutes=(time.monotonic() - start) / 60,
    )
    files.write_json(folder / FACTS, facts)


def collected(data: Path) -> list[Path]:
    """The folders of what was collected, in the order of time."""
    return sorted(
        (path.parent for path in data.glob(f"*/{FACTS}")), key=lambda path: int(path.name)
    )


def keep(sweep: Path, target: Path) -> None:
    """The runs of a sweep in a zip as `runner.export` makes them, but without figures and traces,
    and without the places of the machine."""
    published.check(sweep)
    place = str(sweep.parent.absolute())
    with tempfile.TemporaryDirectory() as folder:
        for path in [sweep / files.SWEEP, *(p for p in sweep.glob("*/*") if p.name in KEPT)]:
            copied = Path(folder) / path.relative_to(sweep.parent)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
            if path.suffix in (".json", ".yaml"):
                copied.write_text(path.read_text().replace(place, "outputs"))
        published.seal(Path(folder) / sweep.name)
        kept = (path for path in Path(folder).rglob("*") if path.is_file())
        archive.write(target, {path.relative_to(folder).as_posix(): path for path in kept})


# ------------------------------------------------------------------------------- the pool


@dataclass(frozen=True)
class Repeat:
    """The runs of one repeat in the order in which they ran, within a minute: two that are the
    same, and two slower."""

    plain: tuple[Run, ...]
    slower: tuple[Run, ...]


def pool_of(runs: Iterable[Run]) -> list[Repeat]:
    """The repeats of which all four runs have a result."""
    found = []
    counted = [run for run in runs if run.status is Status.FINISHED and run.summary.valid]
    for number in sorted({run.repeat for run in counted}):
        mine = [run for run in counted if run.repeat == number]
        plain, slower = (
            tuple(run for run in mine if run.values[MARK] == str(seed)) for seed in (PLAIN, SLOWER)
        )
        if len(plain) == len(slower) == 2:
            found.append(Repeat(plain, slower))
    return found


def commands(run: Run) -> set[int]:
    """Commands that a request of each task was seen to execute, from the trial's proof."""
    checks = run.proof.checks
    (found,) = (check.evidence for check in checks if check.name == "intercepted")
    seen = found.get("requests") or found.values()  # runs of before have a list
    return {request["executed"] for request in seen}


def planted(pool: Sequence[Repeat]) -> tuple[int, int]:
    """Commands a request, plain and slower. Raises `UserError` unless every slower run had as many
    more as were to be planted, and every other run none."""
    plain = {count for repeat in pool for run in repeat.plain for count in commands(run)}
    slower = {count for repeat in pool for run in repeat.slower for count in commands(run)}
    if len(plain) != 1 or slower != {count + more(count) for count in plain}:
        raise UserError("", "", f"nothing was planted: commands a request {plain}, slower {slower}")
    return plain.pop(), slower.pop()


# -------------------------------------------------------------------------- the comparisons

#: What is compared in a repeat: pairs of runs, each one comparison's.
Pairs = Callable[[Repeat], list[tuple[Run, Run]]]


def by_label(repeat: Repeat) -> list[tuple[Run, Run]]:
    """Two runs that are the same, by what tells them apart. Fails for a twin that is slower."""
    return [_by_label(repeat.plain), _by_label(repeat.slower)]


def by_position(repeat: Repeat) -> list[tuple[Run, Run]]:
    """Two runs that are the same, the one that ran first first. Fails where running first costs."""
    return [(repeat.plain[0], repeat.plain[1]), (repeat.slower[0], repeat.slower[1])]


def against_slower(repeat: Repeat) -> list[tuple[Run, Run]]:
    """Each run against the slower one of its label."""
    return list(zip(_by_label(repeat.plain), _by_label(repeat.slower), strict=True))


def _by_label(runs: Sequence[Run]) -> tuple[Run, Run]:
    one, other = sorted(runs, key=lambda run: str(run.values[TWIN]))
    return one, other


def compared(pairs: Sequence[Sequence[Run]], primary: str) -> comparison.Row:
    """The row that decides, of one arm against another that have run one pair a repeat."""
    runs = [
        replace(run, summary=replace(run.summary, arm=arm), repeat=number, values={})
        for number, pair in enumerate(pairs)
        for arm, run in zip(PAIR, pair, strict=True)
    ]
    rows = comparison.compare(runs, PAIR[0], primary).rows
    return next(row for row in rows if row.figure == primary)


def verdicts(pool: Sequence[Repeat], pairs: Pairs, primary: str) -> list[str]:
    """Of every `REPEATS` repeats in the order of time, no repeat twice."""
    found = []
    for first in range(0, len(pool) - REPEATS + 1, REPEATS):
        drawn = [pairs(repeat) for repeat in pool[first : first + REPEATS]]
        found += [compared(each, primary).verdict for each in zip(*drawn, strict=True)]
    return found


@dataclass(frozen=True)
class Share:
    """How many of so many comparisons came to a verdict."""

    hits: int
    of: int

    @property
    def interval(self) -> Interval:
        return exact_share(self.hits, self.of)

    def __str__(self) -> str:
        between = f"{100 * self.interval.low:.1f} to {100 * self.interval.high:.1f} %"
        return f"{self.hits} of {self.of} ({between})"


def share_of(found: Sequence[str], wanted: Sequence[str]) -> Share:
    return Share(sum(each in wanted for each in found), len(found))


def judge(pool: Sequence[Repeat]) -> list[Figure]:
    """The figures of the page."""
    before, after = planted(pool)
    slower = f"{after} commands a request for {before}, {REPEATS} repeats"

    def alarms(what: str, pairs: Pairs, primary: str) -> Figure:
        share = share_of(verdicts(pool, pairs, primary), (BETTER, WORSE))
        met = ALARM in share.interval and share.interval.high <= MOST_ALARMS
        return Figure(what, str(share), "interval with 5 %, ≤ 15 %", met)

    def found_slower(what: str, primary: str) -> Figure:
        share = share_of(verdicts(pool, against_slower, primary), (WORSE,))
        met = share.hits >= FOUND * share.of
        return Figure(what, str(share), f"≥ {FOUND:.0%}".replace("%", " %"), met)

    return [
        alarms(f"A/A, {REPEATS} repeats, by label: false alarms on p50", by_label, P50),
        alarms("the same by position", by_position, P50),
        alarms("the same on p90, by label", by_label, P90),
        alarms("the same on p90, by position", by_position, P90),
        found_slower(f"{slower}: found on p50", P50),
        found_slower("the same on p90: found", P90),
        Figure("found on p50 as measured, whatever the pace", as_measured(pool)),
        report(
            "scatter of p50 between two runs that are the same, as measured",
            100 * scatter(pool, at_equal_pace=False),
            " %",
        ),
        report("the same at equal pace", 100 * scatter(pool, at_equal_pace=True), " %"),
        Figure("p50 goes with the power … of the pace", slope(pool)),
        Figure("the same in the first half of the repeats", slope(pool[: len(pool) // 2])),
        Figure("the same in the second half", slope(pool[len(pool) // 2 :])),
        over_all("p50, A ÷ A, by label", [by_label(repeat)[0] for repeat in pool]),
        over_all("p50, A ÷ A, by position", [by_position(repeat)[0] for repeat in pool]),
        over_all("p50, slower ÷ plain", [against_slower(repeat)[0] for repeat in pool]),
        over_all("pace, slower ÷ plain", [against_slower(repeat)[0] for repeat in pool], PACE),
    ]


def as_measured(pool: Sequence[Repeat]) -> str:
    """How many slower runs are found on p50 without knowing the pace."""

    def strip(runs: Sequence[Run]) -> tuple[Run, ...]:
        return tuple(replace(run, summary=replace(run.summary, pace_us=None)) for run in runs)

    raw = [Repeat(strip(repeat.plain), strip(repeat.slower)) for repeat in pool]
    return str(share_of(verdicts(raw, against_slower, P50), (WORSE,)))


def scatter(pool: Sequence[Repeat], at_equal_pace: bool) -> float:
    """Standard deviation of the logarithm of the ratio of p50s of two runs that are the same, over
    the repeats: what a comparison has to see through."""
    ratios = [
        _p50(other) / _p50(one) / ((pace_of(one, other) or math.nan) if at_equal_pace else 1.0)
        for one, other in _twins(pool)
    ]
    # Nobody is first by nature, so the mean is zero.
    return math.sqrt(fmean(math.log(ratio) ** 2 for ratio in ratios))


def slope(pool: Sequence[Repeat]) -> str:
    """The power of the pace's ratio with which p50 of two runs that are the same goes, by least
    squares through the origin, with its 95 % interval."""
    pace = np.log([_pace(other) / _pace(one) for one, other in _twins(pool)])
    time = np.log([_p50(other) / _p50(one) for one, other in _twins(pool)])
    found = float(pace @ time / (pace @ pace))
    rest, freedom = time - found * pace, len(pace) - 1
    within = t_interval(found, math.sqrt(rest @ rest / freedom / (pace @ pace)), freedom)
    return f"{found:.2f} ({within.low:.2f} to {within.high:.2f})"


def _twins(pool: Sequence[Repeat]) -> list[tuple[Run, Run]]:
    return [pair for repeat in pool for pair in by_label(repeat)]


def _pace(run: Run) -> float:
    return run.summary.pace_us or math.nan


def _p50(run: Run) -> float:
    (urgent,) = (task for task in run.tasks.values() if task.priority == 1)
    return float(median(urgent.response_ms))


def over_all(what: str, pairs: Sequence[Sequence[Run]], figure: str = P50) -> Figure:
    row = compared(pairs, figure)
    assert row.ratio is not None
    assert row.interval is not None
    between = f"{row.interval.low:.3f} to {row.interval.high:.3f}"
    return Figure(f"{what}, over all {len(pairs)} repeats", f"{row.ratio:.3f} ({between})")


# -------------------------------------------------------------------------------- the page

TEXT = """\
# Validation of the verdicts

Whether the verdicts of `python -m runner.compare` hold on real runs: how often two groups of runs
that are the same are called different, and how often a small slowdown is found. Written by
`make validate`, which is no test: it adds runs for {minutes:.0f} minutes, and what it says is of
this machine. How verdicts are made: [statistics.md](statistics.md).

{table}

* **Runs.** {runs} of bert_mini on host for {seconds} s each (`two_bert`: an urgent task of 25
  requests a second beside a closed loop; arm xsched), four a repeat: two that are the same, and two
  with 10 % more commands, one after another in balanced order and with the same arrivals. The pool
  are the {repeats} repeats whose four runs all have a valid result.
* **More commands.** A request runs its {before} commands and then {extra} of a copy of its program,
  from where the request before it has stopped: in ten requests about all of them once. The
  executors of all {slower} slower runs were seen to complete {after} commands a request, those of
  the others {before}.
* **Comparisons.** Every {each} repeats in the order of time make comparisons, and no repeat is in
  two of a kind: {groups} groups, with two comparisons each (of the plain runs and of the slower
  ones; or of each plain run with a slower one). They are given to the code behind `runner.compare`
  as two arms. By label, the twins are told apart by a setting that does nothing; by position, by
  which ran first. A twin that is always slower would be called different by label; a random order
  of each pair would hide it.
* **At equal pace.** Times are divided by the square root of the pace's ratio (`PACE_PART` in
  `runner/results/judging.py`), which was chosen from other runs, before these. More work of the
  tasks may slow the fixed work; the last line says how much, and half of that is lacking in the
  ratio of slower runs.
* **What it has found.** Until 2026-11-27 an eighth of the fixed work lay in small pages and took
  1.85 times as long. How many such pieces a window had went with how long the set-up took, so what
  ran second in a repeat seemed 0.5 % slower (300 repeats, 1.002 to 1.008; kept in this repository's
  commit 1e53867), with 10 false alarms by position in 120 comparisons.
* **Intervals** of shares are exact (Clopper and Pearson).
* **What it does not say.** How small an effect is found depends on the machine's noise and on the
  length of the runs: {each} repeats find 10 % in four comparisons of five where that scatter is
  about 5 % or less.

Collected, and with the last of these by this command:

{collected}
```
{command}
```

They are kept in [results/validation](results/validation/).
`python -m benchmarks.validate --again` judges them anew, and
`python -m runner.compare docs/results/validation/*/runs.zip` takes them as any sweeps.
"""
COLLECTED = """\
* {date}, in {minutes:.0f} minutes; {cpu}, {cores} cores, {memory_gib} GiB, Python {python},
  torch {torch}; commit {commit}.
"""


def page(pool: Sequence[Repeat], runs: int, facts: Sequence[Facts], figures: list[Figure]) -> str:
    before, after = planted(pool)
    return TEXT.format(
        table=table(figures),
        runs=runs,
        repeats=len(pool),
        slower=2 * len(pool),
        before=before,
        after=after,
        extra=after - before,
        seconds=SECONDS,
        each=REPEATS,
        groups=len(pool) // REPEATS,
        minutes=max(each.minutes for each in facts),
        collected="".join(map(_collected, facts)),
        command=facts[-1].command,
    )


def _collected(facts: Facts) -> str:
    return COLLECTED.format(
        date=facts.date,
        minutes=facts.minutes,
        commit=facts.commit + (" with changes" if facts.changed else ""),
        torch=facts.environment.libraries["torch"],
        **vars(facts.environment),
    )


def write(folder: Path) -> None:
    """Judge the runs kept below `folder` and write the page."""
    kept = collected(folder / "results" / "validation")
    sweeps = [load(each / RUNS) for each in kept]
    facts = [files.read_json(each / FACTS, Facts) for each in kept]
    pool = [repeat for runs in sweeps for repeat in pool_of(runs)]
    number = sum(map(len, sweeps))
    print(f"{number} runs, {len(pool)} repeats of which all four count", flush=True)
    if len(pool) < REPEATS:
        raise UserError("", "", f"a comparison takes {REPEATS} complete repeats, not {len(pool)}")
    figures = judge(pool)
    (folder / PAGE).write_text(page(pool, number, facts, figures))
    for figure in figures:
        mark = {True: "met", False: "NOT MET", None: ""}[figure.met]
        print(f"  {figure.what}: {figure.measured} ({figure.target}) {mark}")
    print(f"{folder / PAGE} is written anew")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validate")
    add = parser.add_argument
    add(
        "--pool", type=int, default=POOL, help="repeats of four runs, each about 40 s (%(default)s)"
    )
    add("--again", action="store_true", help="judge the runs that are kept, instead of new ones")
    add("--docs", type=Path, default=ROOT / "docs", help="where page and runs go (docs)")
    asked = parser.parse_args()

    def work() -> None:
        if asked.pool < REPEATS:
            raise UserError("--pool", asked.pool, "too few to draw from", f"at least {REPEATS}")
        if not asked.again:
            collect(asked.pool, asked.docs / "results" / "validation")
        write(asked.docs)

    end_well(work)


if __name__ == "__main__":
    main()
