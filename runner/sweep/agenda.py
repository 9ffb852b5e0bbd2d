"""What a command is about to run: jobs, which a launcher carries to wherever they run.

A job is a repeat: all its arms and values, one after another on one device, so that what is
compared has the device and its load in common. Its file, job.json, lies in a folder of its own,
which is all that a launcher is told.
"""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from runner.config.schema import Config
from runner.runs import files, locks, provenance
from runner.sweep.plan import Planned, spoken

#: In the sweep's folder, a folder for each job while a command is at it.
JOBS = ".jobs"
JOB = "job.json"
#: Beside it, when the job has ended; what became of its runs is told in their folders.
ENDED = "ended"
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Step:
    """One run. name: the run's. title: what tells it from the others. minutes: as estimated; None
    where a model was never timed here. there: whether the sweep had its result when the command
    began. overrides: what was typed for it."""

    name: str
    folder: str
    title: str
    minutes: float | None
    there: bool
    overrides: tuple[str, ...]
    config: Config


@dataclass(frozen=True)
class Amount:
    """What there is to run. minutes: of all runs; None if one of them is not known."""

    runs: int = 0
    minutes: float | None = 0.0


@dataclass(frozen=True)
class Job:
    """What a launcher runs in one go. began_s: when the command began, in seconds since 1970. by:
    its process, see `process`. command: what was typed. server: see
    `runner.platforms.choose.server`. before, after: what the command runs before and after it, if
    it runs one job after another."""

    steps: tuple[Step, ...]
    began_s: float
    by: str
    command: tuple[str, ...]
    server: str | None = None
    before: Amount = Amount()
    after: Amount = Amount()


def write(
    folder: Path,
    points: Iterable[Planned],
    todo: Mapping[Planned, float | None],
    server: str | None = None,
) -> list[str]:
    """The jobs of the repeats that something is to be run of, in the order of the points; returns
    their folders within the sweep's. todo: what has no result, with its minutes. Raises OSError."""
    blocks = [list(block) for _, block in groupby(points, lambda each: each.repeat)]
    jobs = [[_step(each, todo) for each in block] for block in blocks if todo.keys() & {*block}]
    began_s, command = time.time(), f"{time.time_ns():x}-{os.getpid()}"
    places = []
    for number, steps in enumerate(jobs):
        around = (_amount(jobs[:number]), _amount(jobs[number + 1 :]))
        place = Path(JOBS, f"{command}-{number}")
        (folder / place).mkdir(parents=True)
        job = Job(tuple(steps), began_s, process(), provenance.typed(), server, *around)
        files.write_json(folder / place / JOB, job)
        places.append(str(place))
    return places


def _step(point: Planned, todo: Mapping[Planned, float | None]) -> Step:
    return Step(
        point.name,
        point.folder,
        title(point),
        todo.get(point, 0.0),
        point not in todo,
        tuple(point.overrides),
        replace(point.config, repeat=point.config.repeat + point.repeat),
    )


def _amount(jobs: Iterable[Iterable[Step]]) -> Amount:
    steps = [step for steps in jobs for step in steps if not step.there]
    return Amount(len(steps), _minutes(steps))


def process() -> str:
    """This one, told from all others: in containers and on other machines numbers occur again."""
    me = locks.Owner.me()
    return f"{me.host} {me.boot} {me.pid}"


def read(place: Path) -> Job:
    """The job whose folder it is. Raises OSError, and ValueError for what is none."""
    return files.read_json(place / JOB, Job)


def end(place: Path, interrupted: bool = False) -> None:
    """The job of that folder has ended; interrupted: before it had run all."""
    (place / ENDED).write_text(INTERRUPTED if interrupted else "")


def ended(place: Path) -> bool:
    return (place / ENDED).exists()


def was_interrupted(place: Path) -> bool:
    return ended(place) and (place / ENDED).read_text() == INTERRUPTED


def lock(sweep: Path, job: Job) -> Path:
    """Whose holder is at the job's runs, and nobody else, on whichever machine."""
    return sweep / JOBS / f"repeat-{job.steps[0].config.repeat}.lock"


def clear(folder: Path, places: Sequence[str]) -> None:
    """The command has ended."""
    with suppress(OSError):
        for place in places:
            shutil.rmtree(folder / place, ignore_errors=True)
        for each in (folder / JOBS).glob("*.lock"):
            if not locks.alive(each):
                with suppress(locks.Taken), locks.held(each, wait=False, say=print):
                    each.unlink()
        (folder / JOBS).rmdir()


def title(point: Planned) -> str:
    """``xsched t=8 b=4 · repeat 2 of 3``."""
    values = {key: value for key, value in point.values.items() if key != "arm"}
    name = " ".join(filter(None, [point.arm, spoken(values)]))
    repeats = point.config.sweep.repeats
    return name if repeats == 1 else f"{name} · repeat {point.repeat + 1} of {repeats}"


class Standing:
    """Where a run that begins now stands in its command. job: with the steps that are to run."""

    def __init__(self, job: Job, step: Step) -> None:
        self._job, self._step = job, step
        self._at = job.steps.index(step)
        self._since_s = time.time()

    def __str__(self) -> str:
        """``7 of 24 · xsched t=8 b=4 · repeat 2 of 3 · 04:10, about 9 min left``."""
        job = self._job
        runs = job.before.runs + len(job.steps) + job.after.runs
        count = f"{job.before.runs + self._at + 1} of {runs}" if runs > 1 else ""
        elapsed = clock(time.time() - job.began_s)
        left_s = self._left_s(time.time())
        left = "" if left_s is None else f", about {in_words(left_s)} left"
        return " · ".join(filter(None, [count, self._step.title, elapsed + left]))

    def _left_s(self, now_s: float) -> float | None:
        """As the runs until now took, the estimates being how they compare with each other; None if
        nothing is known yet."""
        job = self._job
        done = job.before.runs + self._at
        before = _sum(job.before.minutes, _minutes(job.steps[: self._at]))
        whole = _sum(_minutes(job.steps[self._at :]), job.after.minutes)
        took_s = self._since_s - job.began_s
        if before:
            factor = took_s / before
        elif done:  # some model was never timed: a run takes what the others took
            factor, whole = took_s / done, float(len(job.steps) - self._at + job.after.runs)
        else:
            factor = 60.0
        if whole is None:
            return None
        return max(0.0, whole * factor - (now_s - self._since_s))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _minutes(steps: Sequence[Step]) -> float | None:
    """None if one of them is not known."""
    known = [step.minutes for step in steps if step.minutes is not None]
    return sum(known) if len(known) == len(steps) else None


def clock(seconds: float) -> str:
    """``04:10``, ``1:04:10``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def in_words(seconds: float) -> str:
    """``9 min``, ``40 s``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds / 10)) * 10} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
