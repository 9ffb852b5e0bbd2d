"""What one run measured, and the scopes that a figure of it may be about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from runner.config.names import SYSTEM
from runner.metrics.task import Task


@dataclass(frozen=True)
class Scope:
    """What a figure is about; key as in ``p99_ms/priority_3``, label as a person reads it."""

    key: str
    label: str
    tasks: tuple[str, ...]
    of_all: bool = False


@dataclass(frozen=True)
class Measurement:
    """One run. tasks: that ran, those without a request too. side_by_side: whether they ran at the
    same time, so that there is something to say of all together. of_set: priorities of the task
    set, of which an arm may leave some out; none where nobody says. Of what was counted of the
    whole run, None is what nobody knows."""

    tasks: Mapping[str, Task]
    side_by_side: bool = True
    preemptions: int | None = None
    against_policy: float | None = None
    saturation: float | None = None
    stolen: float | None = None
    pace_us: float | None = None
    of_set: frozenset[int] = frozenset()

    def scopes(self) -> Iterator[Scope]:
        """Priorities, the most urgent first; tasks; all of them together."""
        for priority in self.priorities:
            yield self.priority(priority)
        for name in self.tasks:
            yield Scope(name, name, (name,))
        if self.side_by_side:
            yield Scope(SYSTEM, SYSTEM, tuple(sorted(self.tasks)), of_all=True)

    def thinned(self, requests: Mapping[str, int]) -> "Measurement":
        """With so many requests of these tasks, see `Task.thinned`; itself if they have no more."""
        more = {
            name: self.tasks[name].thinned(count)
            for name, count in requests.items()
            if count < len(self.tasks[name].response_ms)
        }
        return replace(self, tasks={**self.tasks, **more}) if more else self

    @property
    def priorities(self) -> list[int]:
        """Those that occur, the most urgent first."""
        return sorted({task.priority for task in self.tasks.values()}, reverse=True)

    @property
    def extremes(self) -> tuple[int, int] | None:
        """The lowest priority of the task set and its highest, whether or not they ran."""
        known = self.of_set or frozenset(self.priorities)
        return (min(known), max(known)) if known else None

    def priority(self, priority: int) -> Scope:
        """Without tasks if none of this priority ran."""
        names = sorted(name for name, task in self.tasks.items() if task.priority == priority)
        return Scope(f"priority_{priority}", f"priority {priority}", tuple(names))
