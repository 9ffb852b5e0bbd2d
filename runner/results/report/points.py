"""The runs of a report, grouped: a point is one combination of arm and swept values, with its
repeats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from runner.config.arms import Arm
from runner.config.schema import Level
from runner.metrics import METRICS, Metric, Task
from runner.metrics.intervals import Estimate, over_repeats
from runner.metrics.latency import response
from runner.metrics.task import Times, pooled
from runner.results.tables import point as point_name
from runner.runs.run import Run
from runner.trial.status import Status

UNITS = {
    "threshold": "commands",
    "batch_size": "commands",
    "timeslice_us": "µs",
    "probe_work_us": "µs",
    "work_us": "µs",
    "load": "share of solo",
}


@dataclass(frozen=True, eq=False)
class Point:
    """The repeats of one combination. values: by swept key; None where it makes no difference."""

    label: str
    task_set: str
    arm: str
    values: dict[str, str | None]
    runs: list[Run]

    @property
    def counted(self) -> list[Run]:
        """Runs whose figures are shown: the valid ones or, if there is none, the finished ones."""
        finished = [run for run in self.runs if run.status is Status.FINISHED]
        return [run for run in finished if run.summary.valid] or finished

    @cached_property
    def tasks(self) -> list[dict[str, Task]]:
        """The requests of every counted run, read once."""
        return [run.tasks for run in self.counted]

    @cached_property
    def priorities(self) -> list[int]:
        """The most urgent first."""
        found = {task.priority for tasks in self.tasks for task in tasks.values()}
        return sorted(found, reverse=True)

    def of_priority(self, priority: int) -> list[list[Task]]:
        """The tasks of a priority in every counted run that has some."""
        found = [[t for t in tasks.values() if t.priority == priority] for tasks in self.tasks]
        return [tasks for tasks in found if tasks]

    def response_ms(self, priority: int) -> list[Times]:
        """Response latencies of a priority's requests, of every counted run."""
        return [pooled(tasks, response) for tasks in self.of_priority(priority)]

    def estimate(self, tag: str, priority: int) -> Estimate | None:
        """A figure of a priority: over the repeats or, of a single run, within it."""
        metric: Metric = METRICS[tag]
        return estimate_over(
            [found for tasks in self.of_priority(priority) if (found := metric(tasks))],
            metric.by_ratio,
        )


def estimate_over(found: Sequence[Estimate], by_ratio: bool = True) -> Estimate | None:
    """One estimate of one a run."""
    if len(found) < 2:
        return found[0] if found else None
    return over_repeats([each.value for each in found], by_ratio)


def group(runs: Iterable[Run]) -> list[Point]:
    """Points in the order of the list of arms and then of their values."""
    found: dict[object, list[Run]] = {}
    for run in runs:
        found.setdefault(run.point, []).append(run)
    several_arms = len({same[0].arm for same in found.values()}) > 1
    points = [
        Point(
            _label(same[0], several_arms),
            same[0].task_set,
            same[0].arm,
            same[0].values,
            sorted(same, key=lambda run: run.repeat),
        )
        for same in found.values()
    ]
    places = {
        key: {value: at for at, value in enumerate(swept_values(points, key))}
        for key in dict.fromkeys(key for point in points for key in point.values)
    }

    def place(point: Point) -> list[int]:
        return [
            Arm.place(point.arm),
            *(places[key].get(point.values.get(key) or "", -1) for key in places),
        ]

    return sorted(points, key=place)


def _label(run: Run, several_arms: bool) -> str:
    named = point_name(run.arm, run.values)
    return named if several_arms else named.partition(", ")[2] or named


def short_key(key: str) -> str:
    """``xsched.probe_work_us`` is ``probe work`` to a reader, whom the unit is told beside it."""
    return key.rpartition(".")[2].removesuffix("_us").replace("_", " ")


def axis_label(key: str) -> str:
    unit = UNITS.get(key.rpartition(".")[2], "")
    return f"{short_key(key)} ({unit})" if unit else short_key(key)


def swept_keys(points: Sequence[Point]) -> list[str]:
    """Keys, other than the arm, with more than one value."""
    keys = dict.fromkeys(key for point in points for key in point.values)
    return [key for key in keys if len(swept_values(points, key)) > 1]


def swept_values(points: Sequence[Point], key: str) -> list[str]:
    """The values of a key, ascending if they are numbers or levels, else as they occur."""
    found = list(dict.fromkeys(p.values[key] or "" for p in points if p.values.get(key)))
    if all(value in Level.__members__ for value in found):
        return sorted(found, key=lambda value: Level[value].value)
    return sorted(found, key=float) if all(map(is_number, found)) else found


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
