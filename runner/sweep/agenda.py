"""What a command is about to run, in its order: by that a run knows where in the sweep it stands,
in whichever process a launcher runs it."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.runs import files
from runner.sweep.plan import Planned, spoken

#: In the sweep's folder while a command is at it.
AGENDA = ".agenda"


@dataclass(frozen=True)
class Step:
    """One run. title: what tells it from the others. minutes: as estimated; None where a model was
    never timed here."""

    folder: str
    title: str
    minutes: float | None


@dataclass(frozen=True)
class Agenda:
    """began_s: when the command began, in seconds since 1970."""

    began_s: float = 0.0
    steps: tuple[Step, ...] = ()


def write(folder: Path, todo: Sequence[Planned], minutes: Sequence[float | None]) -> None:
    """Raises OSError."""
    told = zip(todo, minutes, strict=True)
    steps = (Step(each.folder, title(each), estimate) for each, estimate in told)
    files.write_json(folder / AGENDA, Agenda(time.time(), tuple(steps)))


def clear(folder: Path) -> None:
    """The command has ended."""
    with suppress(OSError):
        (folder / AGENDA).unlink(missing_ok=True)


def title(point: Planned) -> str:
    """``xsched t=8 b=4 · repeat 2 of 3``."""
    values = {key: value for key, value in point.values.items() if key != "arm"}
    name = " ".join(filter(None, [point.arm, spoken(values)]))
    repeats = point.config.sweep.repeats
    return name if repeats == 1 else f"{name} · repeat {point.repeat + 1} of {repeats}"


class Standing:
    """Where a run that begins now stands in its sweep. name: what is said where nobody knows."""

    def __init__(self, sweep: Path, folder: str, name: str) -> None:
        agenda = files.read_json_or(Agenda(), sweep / AGENDA, Agenda)
        self._steps, self._began_s = agenda.steps, agenda.began_s
        folders = [step.folder for step in self._steps]
        self._at = folders.index(folder) if folder in folders else None
        self._name, self._since_s = name, time.time()

    def __str__(self) -> str:
        """``7 of 24 · xsched t=8 b=4 · repeat 2 of 3 · 04:10, about 9 min left``."""
        if self._at is None:
            return self._name
        count = f"{self._at + 1} of {len(self._steps)}" if len(self._steps) > 1 else ""
        elapsed = clock(time.time() - self._began_s)
        left_s = self._left_s(time.time())
        left = "" if left_s is None else f", about {in_words(left_s)} left"
        return " · ".join(filter(None, [count, self._steps[self._at].title, elapsed + left]))

    def _left_s(self, now_s: float) -> float | None:
        """As the runs until now took, the estimates being how they compare with each other; None if
        nothing is known yet."""
        assert self._at is not None
        done, left = self._steps[: self._at], self._steps[self._at :]
        took_s = self._since_s - self._began_s
        whole = _minutes(left)
        if before := _minutes(done):
            factor = took_s / before
        elif done:  # some model was never timed: a run takes what the others took
            factor, whole = took_s / len(done), float(len(left))
        else:
            factor = 60.0
        if whole is None:
            return None
        return max(0.0, whole * factor - (now_s - self._since_s))


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
